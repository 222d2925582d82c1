"""The answers of a service under the questions of another version of the template."""

from __future__ import annotations

import difflib
import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from twelvefold.decisions import shown
from twelvefold.engine.ownership import Migrations
from twelvefold.errors import RefusedError
from twelvefold.service import Answer, refuse_half_characters

YES = frozenset({"true", "yes", "y", "on", "1"})
NO = frozenset({"false", "no", "n", "off", "0"})


@dataclass(frozen=True, slots=True)
class Migrated:
    """Answers that the template takes, and what had to be done for that, a sentence each."""

    answers: dict[str, Answer]
    notes: list[str]


def migrated(
    answers: Mapping[str, Answer],
    questions: Mapping[str, Any],
    migrations: Migrations,
    given: Mapping[str, Answer] | None = None,
) -> Migrated:
    """Rename, map and drop stored answers, until the template's questions take them; what lacks gets its default.

    :param given: the answers that the user gives now, as `parsed` returns them.
    """
    given = given or {}
    asked = {question: choices for question, choices in questions.items() if not question.startswith("_")}
    result: dict[str, Answer] = {}
    notes = []
    for stored, answer in answers.items():
        question = _latest(stored, migrations.questions, asked)
        if question not in asked or (question != stored and question in answers):
            notes.append(f"The template does not ask {stored} any more; your answer was {_shown(answer)}.")
            continue
        result[question], note = _taken(question, answer, asked[question], migrations.choices.get(question, {}))
        notes += [note] if note else []
    for question, default in asked.items():
        if question not in result and question not in given:
            notes.append(
                f"The template asks {question} now; {_defaulted(default)}. For another: --answer {question}=..."
            )
        elif question in given and given[question] != result.get(question):
            before = f"; it was {_shown(result[question])}" if question in result else ""
            notes.append(f"{question} is {_shown(given[question])} now{before}.")
    return Migrated({**result, **given}, notes)


def named_after(folder: str) -> dict[str, Answer]:
    """The names that follow from the folder's: what a service without answers is called."""
    return {"project_slug": folder, "project_name": folder.replace("-", " ").title()}


def packages_of(rendered: Iterable[str]) -> set[str]:
    """The packages beside the chassis in the paths that were rendered."""
    return {path.split("/")[1] for path in rendered if re.match("src/[^/]+/", path)} - {"chassis"}


def refuse_renamed_package(stored: Mapping[str, Answer], wanted: Mapping[str, Answer], rendered: Iterable[str]) -> None:
    """Raise RefusedError if the answers `wanted` name another package than the one that the service has."""
    package = str(wanted.get("package_name", ""))
    has = packages_of(rendered) or {str(stored.get("package_name", package))}
    if package and package not in has:
        was = min(has)
        raise RefusedError(
            f"The answer is package_name={package}, and the package of this service is {was}: a rollup does not rename "
            f"a package, it would seed a second one. Leave that answer out, or set it back: --answer package_name={was}"
        )


def _defaulted(default: Any) -> str:
    """What happens to a question that nobody answers, given its default in cookiecutter.json."""
    first = default[0] if isinstance(default, list) else default
    is_literal = isinstance(first, bool) or not re.search(r"<<|<%", str(first))
    return f"it takes the default, {_shown(first)}" if is_literal and first != "" else "it takes the default"


def _taken(question: str, answer: Answer, default: Any, moved: Mapping[str, str]) -> tuple[Answer, str]:
    """The answer that the template takes for `answer`, and a note if that is another; `moved` maps old choices."""
    if isinstance(default, list) and answer not in default:
        new = _latest(str(answer), moved, default)
        taken = new if new in default else str(default[0])
        return taken, f"The template has no {question} = {_shown(answer)} any more; it is {taken} now."
    if not isinstance(default, list) and isinstance(default, bool) != isinstance(answer, bool):
        value, said = _retyped(answer, default)
        return value, f"The template takes {said} for {question} now; your answer was {_shown(answer)}."
    return answer, ""


def _latest(name: str, moved: Mapping[str, str], known: Container[str]) -> str:
    """`name`, or what it was renamed to, once or more often, until it is known."""
    for _ in moved:
        if name not in known:
            name = moved.get(name, name)
    return name


def _shown(answer: Answer) -> str:
    return str(answer).lower() if isinstance(answer, bool) else shown(answer)


def _retyped(answer: Answer, default: Any) -> tuple[Answer, str]:
    """The answer to a question that was of another type, and that for people."""
    if isinstance(default, bool):
        said = str(answer).lower()
        value = said in YES if said in YES | NO else default
        return value, _shown(value)
    return _shown(answer), f"the text {_shown(answer)}"


def parsed(given: Mapping[str, str], questions: Mapping[str, Any]) -> dict[str, Answer]:
    """The answers of `--answer question=answer`, of their types. Raises RefusedError for what is not asked."""
    asked = {question: default for question, default in questions.items() if not question.startswith("_")}
    return {question: _parsed(question, answer, asked) for question, answer in given.items()}


def _parsed(question: str, answer: str, asked: Mapping[str, Any]) -> Answer:
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
