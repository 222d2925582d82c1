"""The answers of a service under the questions of another version of the template."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twelvefold.decisions import shown
from twelvefold.errors import RefusedError
from twelvefold.ownership import Migrations
from twelvefold.service import refuse_half_characters

Answers = Mapping[str, str | bool]
YES = frozenset({"true", "yes", "y", "on", "1"})
NO = frozenset({"false", "no", "n", "off", "0"})


@dataclass(frozen=True, slots=True)
class Migrated:
    """Answers that the template takes, and what had to be done for that, a sentence each."""

    answers: dict[str, str | bool]
    notes: list[str]


def migrated(answers: Answers, questions: Mapping[str, Any], migrations: Migrations) -> Migrated:
    """Rename, map and drop stored answers, until the template's questions take them; what lacks gets its default."""
    asked = {question: choices for question, choices in questions.items() if not question.startswith("_")}
    result: dict[str, str | bool] = {}
    notes = []
    for stored, answer in answers.items():
        question = stored if stored in asked else migrations.questions.get(stored, stored)
        if question not in asked:
            notes.append(f"The template does not ask {stored} any more; your answer was {_shown(answer)}.")
            continue
        choices = asked[question]
        if isinstance(choices, list) and answer not in choices:
            new = migrations.choices.get(question, {}).get(str(answer))
            takes = str(new if new in choices else choices[0])
            notes.append(f"The template has no {question} = {_shown(answer)} any more; it is {takes} now.")
            result[question] = takes
        elif isinstance(choices, bool) != isinstance(answer, bool) and not isinstance(choices, list):
            result[question], takes = _retyped(answer, choices)
            notes.append(f"The template takes {takes} for {question} now; your answer was {_shown(answer)}.")
        else:
            result[question] = answer
    notes += [
        f"The template asks {question} now; it takes the default." for question in asked if question not in result
    ]
    return Migrated(result, notes)


def _shown(answer: str | bool) -> str:
    return str(answer).lower() if isinstance(answer, bool) else shown(answer)


def _retyped(answer: str | bool, default: Any) -> tuple[str | bool, str]:
    """The answer to a question that was of another type, and that for people."""
    if isinstance(default, bool):
        said = str(answer).lower()
        value = said in YES if said in YES | NO else default
        return value, _shown(value)
    return _shown(answer), f"the text {_shown(answer)}"


def parsed(given: Mapping[str, str], questions: Mapping[str, Any]) -> dict[str, str | bool]:
    """The answers of `--answer question=answer`, of their types. Raises RefusedError for what is not asked."""
    asked = {question: default for question, default in questions.items() if not question.startswith("_")}
    return {question: _parsed(question, answer, asked) for question, answer in given.items()}


def _parsed(question: str, answer: str, asked: Mapping[str, Any]) -> str | bool:
    if question not in asked:
        near = difflib.get_close_matches(question, asked, n=1)
        hint = f"Did you mean {near[0]}?" if near else f"It asks: {', '.join(asked)}."
        raise RefusedError(f"The template does not ask {question or 'an answer without a question'}. {hint}")
    default = asked[question]
    refuse_half_characters(question, answer)
    if isinstance(default, bool):
        if answer.lower() not in YES | NO:
            raise RefusedError(f"{question} is true or false: --answer {question}=true")
        return answer.lower() in YES
    if isinstance(default, list) and answer not in default:
        raise RefusedError(f"{question} is {' or '.join(default)}: --answer {question}={default[0]}")
    return answer
