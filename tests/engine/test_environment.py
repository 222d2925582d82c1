"""Jinja as cookiecutter sets it up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jinja2
import pytest
from jinja2 import TemplateSyntaxError, UndefinedError
from jinja2.ext import Extension

from forks import TAGS
from twelvefold.engine.rendering.environment import Environment, Loader
from twelvefold.engine.rendering.extensions import DEFAULT
from twelvefold.errors import RefusedError


def theirs(questions: Mapping[str, Any]) -> Any:
    from cookiecutter.utils import create_env_with_context

    return create_env_with_context({"cookiecutter": questions})


@pytest.mark.parametrize("options", [{}, {**TAGS, "trim_blocks": True}, {"newline_sequence": "\r\n"}], ids=str)
def test_an_environment_is_as_cookiecutter_makes_one(options: Mapping[str, Any]) -> None:
    questions = {"_jinja2_env_vars": options, "_extensions": ["jinja2.ext.do"]}
    ours, cookiecutter_s = Environment(questions, {}), theirs(questions)
    compared: tuple[str, ...] = (
        "undefined",
        "keep_trailing_newline",
        "trim_blocks",
        "variable_start_string",
        "newline_sequence",
    )
    compared = (*compared, "autoescape", "datetime_format", "line_statement_prefix", "optimized")
    assert [getattr(ours, name) for name in compared] == [getattr(cookiecutter_s, name) for name in compared]
    for name in ("extensions", "filters", "globals", "tests"):
        assert getattr(ours, name).keys() == getattr(cookiecutter_s, name).keys(), name


@pytest.mark.parametrize("name", ["no.such.Extension", "no_such"])
def test_an_extension_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match=r"Unable to load extension: .*no"):
        Environment({"_extensions": [name]}, {})


class Counting(Environment):
    """Counts what is really compiled."""

    made = 0

    def _generate(self, *arguments: Any, **options: Any) -> str:
        Counting.made += 1
        generated: str = super()._generate(*arguments, **options)
        return generated


def test_a_text_is_compiled_once_a_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Counting, "made", 0)
    compiled: dict[tuple[object, ...], Any] = {}
    said = [Counting({}, compiled).rendered("{{ x }}!", {"x": number}) for number in range(3)]
    assert (said, Counting.made) == (["0!", "1!", "2!"], 1)
    assert Counting({}, {}).rendered("{{ x }}!", {"x": 3}) == "3!"
    assert Counting.made == 2


def test_files_of_one_text_keep_their_names_in_errors(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("{% if %}")
    environment = Environment({}, {})
    environment.loader = Loader([tmp_path])
    for name in ("one", "two"):
        with pytest.raises(TemplateSyntaxError) as raised:
            environment.get_template(name)
        assert raised.value.filename == f"./{name}"


def test_a_loader_reads_what_jinja_s_own_does(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates/part").write_bytes("ä\r\n".encode())
    environment = Environment({}, {})
    environment.loader = Loader([tmp_path, tmp_path / "templates"])
    assert environment.rendered("{% include 'part' %}", {}) == "ä\n"
    with pytest.raises(jinja2.TemplateNotFound):
        environment.get_template("../part")


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        Environment({}, {}).rendered("{{ x }}", {})


class Shouting(Extension):
    """Reads every text its own way."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return source.upper()


@pytest.mark.parametrize(
    "source", ["src/chassis/health.py", "", "a{b", "<%x%>", "<<x>>", "<#x#>a", "a\n", "a\r\nb", "# a", "{{ x }}"]
)
@pytest.mark.parametrize("options", [{}, TAGS, {"line_statement_prefix": "#"}, {"line_comment_prefix": "#"}], ids=str)
@pytest.mark.parametrize("extensions", [[], [Shouting]])
def test_a_text_without_a_tag_is_rendered_as_jinja_does(
    source: str, options: dict[str, Any], extensions: list[type[Extension]]
) -> None:
    names = [f"{each.__module__}.{each.__name__}" for each in extensions]
    ours = Environment({"_jinja2_env_vars": options, "_extensions": names}, {})
    plain = jinja2.Environment(keep_trailing_newline=True, extensions=[*DEFAULT, *extensions], **options)  # noqa: S701
    expected = result(lambda: plain.from_string(source).render(x=1, X=1))
    assert result(lambda: ours.rendered(source, {"x": 1, "X": 1})) == expected


def result(render: Callable[[], str]) -> str:
    try:
        return render()
    except TemplateSyntaxError as error:
        return str(error)
