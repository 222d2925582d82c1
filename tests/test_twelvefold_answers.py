"""What is refused, with what to type instead; tests/render/test_hostile_answers.py renders what is not."""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from pathlib import Path

import click
import pytest
import twelvefold_answers
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import Environment
from twelvefold_answers import (
    CAME_OR_WENT,
    STANDARD_LIBRARY,
    executed,
    markdown,
    problems,
    questions,
    quoted,
    weekly,
)

from answers import capabilities
from commands import run, succeed
from environments import TEMPLATE, interpreter, render
from twelvefold.memory import inert

GOOD: dict[str, str | bool] = {
    "project_name": "My Service",
    "project_slug": "my-service",
    "package_name": "my_service",
    "description": "What it does.",
    "owner": "acme/payments",
    "ci": "gitlab",
    "repository_url": "https://gitlab.example.com:8443/acme/payments/my-service",
    **dict.fromkeys(capabilities(), True),
}
REFUSED = [
    ("project_slug", "My-Service", "type my-service"),
    ("project_slug", "2nd-service", "type nd-service"),
    ("project_slug", "my--service", "type my-service"),
    ("project_slug", "../my-service", "type my-service"),
    ("project_slug", "a/b/c", "type a-b-c"),
    ("project_slug", "..", "type my-service"),
    ("project_slug", "café", "type cafe"),
    ("project_slug", "pаyments", "type pyments"),  # noqa: RUF001 - the Cyrillic letter is the point
    ("project_slug", "x" * 41, "type a shorter one"),
    ("project_slug", "fastapi", "type fastapi-service"),
    ("project_slug", "pre-commit", "type pre-commit-service"),
    ("project_slug", "chassis", "type chassis-service"),
    ("package_name", "class", "type class_service"),
    ("package_name", "logging", "type logging_service"),
    ("package_name", "asyncio", "type asyncio_service"),
    ("package_name", "fastapi", "type fastapi_service"),
    ("package_name", "prometheus_client", "type prometheus_client_service"),
    ("package_name", "opentelemetry", "type opentelemetry_service"),
    ("package_name", "chassis", "type chassis_service"),
    ("package_name", "tests", "type tests_service"),
    ("package_name", "service_package", "type service_package_service"),
    ("package_name", "1st", "type st"),
    ("package_name", "MyService", "type myservice"),
    ("package_name", "my-service", "type my_service"),
    ("package_name", "__init__", "type init"),
    ("package_name", "ﬁle", "type file"),
    ("package_name", "Logging", "type logging_service"),
    ("package_name", "1class", "type class_service"),
    ("package_name", "distutils", "type distutils_service"),
    ("package_name", "annotationlib", "type annotationlib_service"),
    ("project_slug", " logging", "type it without"),
    ("project_name", "", "type at least one letter"),
    ("project_name", "   ", "type at least one letter"),
    ("project_name", " padded", "type it without"),
    ("project_name", "x" * 61, "type 60 at most"),
    ("project_name", "two\nlines", "type it on one line"),
    ("project_name", "<< 7 * 7 >>", "leave the tag out"),
    ("description", "<% raw %>", "leave the tag out"),
    ("description", "<# note #>", "leave the tag out"),
    ("description", "bell\a", "in visible characters"),
    ("description", "a\u2028b", "in visible characters"),
    ("description", "a\u0085b", "in visible characters"),
    ("description", "a\x7fb", "in visible characters"),
    ("description", "\u202etxt.exe", "in visible characters"),
    ("description", "\ufffe", "in visible characters"),
    ("description", "\ud800", "in visible characters"),
    ("description", "x" * 201, "type 200 at most"),
    ("description", True, "type it in quotes"),
    ("owner", "my team", "type the path"),
    ("owner", "../team", "type the path"),
    ("owner", "équipe", "type the path"),
    ("repository_url", "git@gitlab.com:me/it.git", "type the address"),
    ("repository_url", "https://user:token@gitlab.com/me/it", "type the address"),
    ("repository_url", "https://gitlab.com/../it", "type the address"),
    ("repository_url", 'https://gitlab.com/"/it', "type the address"),
    ("repository_url", "javascript:alert(1)", "type the address"),
    ("ci", "travis", "type gitlab, github or jenkins"),
    *((question, answer, "type true or false") for question in capabilities() for answer in ("yes", None, 1)),
]


def test_good_answers_pass() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("question", "answer", "instead"), REFUSED, ids=[f"{row[0]}={row[1]!r:.30}" for row in REFUSED]
)
def test_a_bad_answer_is_refused_with_what_to_type_instead(question: str, answer: object, instead: str) -> None:
    found = problems({**GOOD, question: answer})
    assert len(found) == 1
    assert found[0].startswith(f"{question} = ")
    assert instead in found[0]
    assert found[0].isprintable()


@given(st.text() | st.text('<>%#"\\\n\r a'))
@example("<< 7 * 7 >>")
def test_what_a_rollup_hands_over_is_not_taken_for_a_template(answer: str) -> None:
    """`inert` makes a text in quotes of it, which is itself when it is rendered."""
    assert executed({"description": inert(answer)}) == []


TEMPLATES = ["<<1+1>>", "<% if 1 %>2<% endif %>", "a <# b #>", '<< "a" ~ "b" >>', '<< "a" >><< 1 >>', "<< 'a' >>"]


@pytest.mark.parametrize("raw", [*TEMPLATES, r'<< "a\" ~ 1 ~ "b" >>', '<<"a">>'])
def test_only_a_text_in_quotes_is_no_template(raw: str) -> None:
    assert len(executed({"description": raw})) == 1


def test_the_template_s_own_defaults_are_templates() -> None:
    assert executed(questions()) == []


def test_all_bad_answers_are_told_at_once() -> None:
    assert len(problems({})) == len(GOOD)


NAMES = st.text() | st.builds(
    "".join, st.lists(st.sampled_from(["class", "Logging", "fastapi", "-", "_", " ", "1", "x" * 9, "my-service"]))
)


@pytest.mark.parametrize("question", ["project_slug", "package_name"])
@given(answer=NAMES)
@example(answer="Logging")
@example(answer="2 tests")
@example(answer="typing-extensions")
def test_what_is_suggested_is_good(question: str, answer: str) -> None:
    for problem in problems({**GOOD, question: answer}):
        for suggested in re.findall(r"type ([a-z0-9_-]+)(?:\.$|, for example\.$)", problem):
            assert suggested == "without" or problems({**GOOD, question: suggested}) == []


def test_what_is_refused_is_the_same_on_every_python() -> None:
    code = "import json, sys; print(json.dumps(sorted(sys.stdlib_module_names)))"
    for version in ("3.11", "3.12", "3.13", "3.14"):
        with contextlib.suppress(LookupError):
            names = {name for name in json.loads(succeed(interpreter(version), "-c", code)) if name[0] != "_"}
            assert "logging" in names
            assert names | CAME_OR_WENT == {name for name in STANDARD_LIBRARY if name[0] != "_"}, version


@pytest.mark.parametrize(
    "plain",
    [
        "What it does.",
        "Mails invoices, one a month (PDF), for < 5 € & more: 2 * 3 > 5!",
        'snake_case, C#, ~5 minutes, x-y, 1.5 %, {{ x }}, $5, it\'s "fine" | C:\\temp',
        "Größe 日本語 👩‍👩‍👧",
    ],
)
def test_plain_text_is_markdown_as_it_stands(plain: str) -> None:
    assert markdown(plain) == plain


@given(st.text())
def test_any_text_is_judged_and_quoted_as_toml_and_json_read_it(text: str) -> None:
    problems({**GOOD, "description": text})
    assert json.loads(quoted(text)) == text


# That environment has them for the chassis' tests; no service does.
FOR_TESTS = {"execnet", "pytest-xdist"}


def test_every_name_that_a_dependency_is_imported_by_is_refused(python: Path) -> None:
    code = "import json, importlib.metadata as m; print(json.dumps(m.packages_distributions()))"
    names = [
        name
        for name, brought_by in json.loads(succeed(python, "-c", code)).items()
        if name.isidentifier() and name == name.lower() and name[0] != "_" and not FOR_TESTS.issuperset(brought_by)
    ]
    assert "fastapi" in names
    assert [name for name in names if not problems({**GOOD, "package_name": name})] == []


def test_the_filters_are_jinja_s() -> None:
    environment = Environment(extensions=[twelvefold_answers.Answers])  # noqa: S701 - as cookiecutter makes it
    assert environment.from_string("{{ 'a \"b\"' | quoted }}").render() == r'"a \"b\""'
    assert environment.from_string("{{ template_dir }}").render() == str(TEMPLATE)


def test_a_refusal_leaves_nothing_behind(tmp_path: Path) -> None:
    # By its base class: a render imports a copy of the template's module for itself.
    with pytest.raises(click.ClickException, match="nothing was written") as refusal:
        render(tmp_path / "out", project_slug="a/b/c")
    assert refusal.value.exit_code == 2
    assert list((tmp_path / "out").iterdir()) == []


def test_the_command_line_refuses_with_exit_code_2_and_no_traceback(tmp_path: Path) -> None:
    bad = ["project_slug=../x", "package_name=class"]
    done = run("cookiecutter", TEMPLATE, "--no-input", "--default-config", *bad, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    assert 'project_slug = "../x"' in done.stderr
    assert 'package_name = "class"' in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert not (tmp_path.parent / "x").exists()


def test_a_week_is_spread_over_services_and_the_same_each_time() -> None:
    times = [weekly(f"service-{number}") for number in range(10_000)]
    assert weekly("service-1") == times[1]
    fields = [time.split(" ") for time in times]
    assert {(of_month, month) for _, _, of_month, month, _ in fields} == {("*", "*")}
    assert {int(minute) for minute, *_ in fields} == set(range(1, 60))
    hours = Counter((day, hour) for _, hour, _, _, day in fields)
    assert len(hours) == 7 * 24
    assert max(hours.values()) < 100  # 60 of 10,000 on average


def test_a_question_that_is_no_capability_asks_for_no_part() -> None:
    answers = {"database": True, "public": True, "_chassis": "vendored", "_template_version": "1.2.3"}
    assert twelvefold_answers.distributions(answers) == ["chassis", "chassis-database"]
    assert twelvefold_answers.requirements(answers) == [
        "twelvefold-chassis-database==1.2.3+vendored",
        "twelvefold-chassis==1.2.3+vendored",
    ]
