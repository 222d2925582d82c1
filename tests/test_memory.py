from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from cookiecutter.utils import create_env_with_context
from hypothesis import given
from hypothesis import strategies as st

from environments import TEMPLATE
from twelvefold.memory import Answers, UnusableMemoryError, inert

CONTEXT = {"cookiecutter": json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))}


def remember(service: Path, text: str) -> Answers:
    (service / ".twelvefold").mkdir()
    (service / ".twelvefold/answers.json").write_text(text, encoding="utf-8")
    return Answers(service)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_stored_answer_renders_to_itself(answer: str) -> None:
    # The environment that cookiecutter renders answers in, before it asks or writes anything.
    environment = create_env_with_context(CONTEXT)
    assert environment.from_string(str(inert(answer))).render(cookiecutter={}) == answer


@pytest.mark.parametrize(
    "answer",
    [
        "<< cookiecutter.__class__ >>",
        "<% raw %><% endraw %><< 7 * 7 >>",
        "<# gone #>",
        '" >> << 7 * 7 >> "',
        "\\",
        "\\n",
        '<<"\\',
        "50 %",
        "{{ x }}",
        "two\nlines\r\n",
        "Привет 🎉",
    ],
)
def test_no_jinja_in_a_stored_answer_is_executed(answer: str, tmp_path: Path) -> None:
    stored = remember(tmp_path, json.dumps({"description": answer})).read()["description"]
    assert create_env_with_context(CONTEXT).from_string(stored).render(cookiecutter={}) == answer


def test_booleans_survive(tmp_path: Path) -> None:
    answers = remember(tmp_path, '{"database": true, "tasks": false}').read()
    assert json.dumps(answers) == '{"database": true, "tasks": false}'


def test_without_a_memory_the_folder_gives_the_names(tmp_path: Path) -> None:
    (tmp_path / "pay-api").mkdir()
    assert Answers(tmp_path / "pay-api").read() == {"project_slug": "pay-api", "project_name": "Pay Api"}


def test_a_folder_s_name_is_not_executed_either(tmp_path: Path) -> None:
    (tmp_path / "<< 7*7 >>").mkdir()
    stored = Answers(tmp_path / "<< 7*7 >>").read()["project_slug"]
    assert create_env_with_context(CONTEXT).from_string(stored).render(cookiecutter={}) == "<< 7*7 >>"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<<<<<<< ours", "is not JSON"),
        ("[]", "holds no JSON object"),
        ('{"_extensions": ["os.path"]}', "sets _extensions, which is the template's"),
        ('{"project_name": 1}', "project_name must be a text, true or false, not 1"),
        ('{"project_name": ["a"]}', "project_name must be a text"),
    ],
)
def test_a_memory_that_cannot_be_used_is_refused_in_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableMemoryError, match=r"answers\.json") as refusal:
        remember(tmp_path, text).read()
    assert said in refusal.value.message
    assert refusal.value.exit_code == 2


def test_a_memory_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    answers = remember(tmp_path, "{}")
    (tmp_path / ".twelvefold/answers.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UnusableMemoryError, match="cannot be read"):
        answers.read()


def test_a_rollup_silences_the_hook_s_closing_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWELVEFOLD_QUIET", raising=False)
    Answers(tmp_path)
    assert os.environ["TWELVEFOLD_QUIET"] == "1"


def test_it_is_named_by_its_path(tmp_path: Path) -> None:
    assert str(Answers(tmp_path)) == str(tmp_path / ".twelvefold/answers.json")
