"""The extensions that cookiecutter gives each template, imported when they are used."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from twelvefold.engine.rendering.environment import Environment

USES = [
    '{{ {"b": 1, "a": [x]} | jsonify }}',
    '{{ {"b": 1} | jsonify(2) }}',
    "{{ 'Zürich & Söhne 50 %' | slugify }}",
    "{{ x | slugify(separator='_', max_length=3, lowercase=false) }}",
    "{{ (random_ascii_string(7) | length) + (random_ascii_string(5, punctuation=true) | length) }}",
    "{{ (uuid4() | string | length) }} {{ uuid4() == uuid4() }}",
    "{% now 'utc', '%Y' %}",
    "{% now 'utc' + 'days=400', '%Y' %} {% now 'utc' - 'days=400', '%Y' %}",
    "{% now 'local' %}",
]


def theirs() -> Any:
    from cookiecutter.utils import create_env_with_context

    return create_env_with_context({})


@pytest.mark.parametrize("source", USES)
def test_a_template_that_uses_one_gets_cookiecutter_s(source: str) -> None:
    expected = theirs().from_string(source).render(x="Hello World")
    compiled: dict[tuple[object, ...], Any] = {}
    for _ in range(2):  # the second environment finds it compiled, and never parses it
        environment = Environment({}, compiled)
        assert [environment.rendered(source, {"x": "Hello World"}) for _ in range(2)] == [expected] * 2


def test_another_format_of_dates_is_the_one_that_is_used() -> None:
    environment: Any = Environment({}, {})
    environment.datetime_format = "on a day"
    assert environment.rendered("{% now 'utc' %}", {}) == "on a day"


def test_one_that_the_template_names_itself_is_the_real_one() -> None:
    environment = Environment({"_extensions": ["cookiecutter.extensions.SlugifyExtension"]}, {})
    assert type(environment.extensions["cookiecutter.extensions.SlugifyExtension"]).__module__.startswith(
        "cookiecutter"
    )


@pytest.mark.usefixtures("really_started")
def test_nothing_of_cookiecutter_s_is_imported_before() -> None:
    code = (
        "import sys; from twelvefold.engine.rendering.environment import Environment\n"
        "environment = Environment({}, {}); environment.rendered('{{ x }}', {'x': 1})\n"
        "assert 'cookiecutter' not in sys.modules\n"
        "environment.rendered('{{ x | slugify }}', {'x': 'a'})\n"
        "assert 'cookiecutter' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
