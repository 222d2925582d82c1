"""The questions: asked in words, with computed defaults, refused when the answer is bad."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from packaging.version import Version
from pytest_cookies.plugin import Cookies

from answers import questions
from commands import Done, run
from environments import TEMPLATE

DECLARED = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))


def test_the_questions_are_few() -> None:
    assert list(questions()) == [
        "project_name",
        "project_slug",
        "package_name",
        "description",
        "owner",
        "ci",
        "repository_url",
        "database",
        "tasks",
        "auth",
    ]


def test_every_question_is_asked_in_words() -> None:
    assert DECLARED["__prompts__"].keys() == questions().keys()


def test_every_choice_is_described() -> None:
    for question, default in questions().items():
        if isinstance(default, list):
            assert DECLARED["__prompts__"][question].keys() == {"__prompt__", *default}


def test_the_defaults_follow_from_the_name(cookies: Cookies) -> None:
    result = cookies.bake(extra_context={"project_name": "Zürich Pay 2", "owner": "acme/pay", "ci": "github"})
    assert result.exception is None
    assert result.context["project_slug"] == "zurich-pay-2"
    assert result.context["package_name"] == "zurich_pay_2"
    assert result.context["repository_url"] == "https://github.com/acme/pay/zurich-pay-2"
    assert result.project_path.name == "zurich-pay-2"


def test_a_name_that_gives_no_slug_is_refused(cookies: Cookies) -> None:
    result = cookies.bake(extra_context={"project_name": "!!!"})
    assert "type at least one letter" in str(result.exception)


def test_the_version_is_one() -> None:
    assert Version(DECLARED["_template_version"]) >= Version("0.1.0.dev0")
    assert DECLARED["_template_url"].startswith("https://")


def ask(tmp_path: Path, typed: str) -> Done:
    wide = {**os.environ, "COLUMNS": "200"}  # so that no prompt is wrapped
    return run("cookiecutter", TEMPLATE, "--default-config", cwd=tmp_path, env=wide, typed=typed)


def test_asked_by_hand(tmp_path: Path) -> None:
    done = ask(tmp_path, 'Pay API\n\n\nPays & "collects" {{ money }}.\nacme\n2\n\ny\nn\n\n')
    assert done.returncode == 0, done.stderr
    for prompt in DECLARED["__prompts__"].values():
        sentence = prompt if isinstance(prompt, str) else prompt["__prompt__"]
        assert sentence in done.stdout
    stored = json.loads((tmp_path / "pay-api/.twelvefold/answers.json").read_text(encoding="utf-8"))
    assert stored == {
        "project_name": "Pay API",
        "project_slug": "pay-api",
        "package_name": "pay_api",
        "description": 'Pays & "collects" {{ money }}.',
        "owner": "acme",
        "ci": "github",
        "repository_url": "https://github.com/acme/pay-api",
        "database": True,
        "tasks": False,
        "auth": False,
    }


@pytest.mark.parametrize("name", ["<< 7 * 7 >>", "../evil", "日本"])
def test_a_bad_answer_typed_by_hand_leaves_nothing(name: str, tmp_path: Path) -> None:
    done = ask(tmp_path, f"My Service\n{name}\n\n\n\n\n\n\n\n\n")
    assert done.returncode == 2
    assert "project_slug = " in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
