from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twelvefold.engine.answers import migrated, parsed
from twelvefold.engine.ownership import Migrations
from twelvefold.errors import RefusedError

QUESTIONS: dict[str, Any] = {"name": "Pay", "ci": ["gitlab", "github"], "database": False, "_url": "x", "__checked": ""}
ANSWERS = st.dictionaries(st.sampled_from([*QUESTIONS, "old", "older"]), st.booleans() | st.text(max_size=5))


@given(ANSWERS)
def test_what_comes_out_is_what_the_template_takes_and_stays_so(answers: dict[str, str | bool]) -> None:
    migrations = Migrations(questions={"old": "name", "older": "ci"}, choices={"ci": {"jenkins": "github"}})
    first = migrated(answers, QUESTIONS, migrations)
    assert set(first.answers) <= {"name", "ci", "database"}
    assert first.answers.get("ci", "gitlab") in QUESTIONS["ci"]
    assert isinstance(first.answers.get("database", True), bool)
    assert isinstance(first.answers.get("name", ""), str)
    again = migrated(first.answers, QUESTIONS, migrations)
    assert again.answers == first.answers
    assert len(again.notes) == len({"name", "ci", "database"} - set(first.answers))


def test_an_answer_that_is_given_under_both_names_is_the_new_one() -> None:
    for answers in ({"old": "Old", "name": "New"}, {"name": "New", "old": "Old"}):
        done = migrated(answers, {"name": "Pay"}, Migrations(questions={"old": "name"}))
        assert done.answers == {"name": "New"}


def test_a_question_may_be_renamed_more_than_once() -> None:
    done = migrated({"old": "Ours"}, {"name": "Pay"}, Migrations(questions={"old": "older", "older": "name"}))
    assert (done.answers, done.notes) == ({"name": "Ours"}, [])


@pytest.mark.parametrize(
    ("default", "said"),
    [
        (False, "it takes the default, false"),
        (["gitlab", "github"], "it takes the default, gitlab"),
        ("", "it takes the default"),
        ("<< cookiecutter.project_name >>", "it takes the default"),
    ],
)
def test_a_new_question_is_told_with_what_it_takes(default: Any, said: str) -> None:
    notes = migrated({}, {"region": default}, Migrations()).notes
    assert notes == [f"The template asks region now; {said}. For another: --answer region=..."]


def test_an_answer_that_is_given_now_is_told_with_what_it_was() -> None:
    questions = {"database": False, "tasks": False, "auth": False}
    done = migrated(
        {"database": False, "auth": True}, questions, Migrations(), {"database": True, "tasks": True, "auth": True}
    )
    assert done.notes == ["database is true now; it was false.", "tasks is true now."]
    assert done.answers == {"database": True, "tasks": True, "auth": True}


@pytest.mark.parametrize(("answer", "value"), [("yes", True), ("TRUE", True), ("0", False), ("Off", False)])
def test_true_and_false_have_many_names(answer: str, value: bool) -> None:
    assert parsed({"database": answer}, QUESTIONS) == {"database": value}


def test_an_answer_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(RefusedError, match="is no Unicode text"):
        parsed({"name": "\udcff"}, QUESTIONS)
