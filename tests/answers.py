"""Every combination of answers that renders different files."""

from __future__ import annotations

import itertools
import json
from typing import Any

from environments import EVERYTHING, TEMPLATE


def questions() -> dict[str, Any]:
    """The questions of cookiecutter.json with their defaults or choices; none that starts with an underscore."""
    declared = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    return {question: default for question, default in declared.items() if not question.startswith("_")}


def capabilities() -> list[str]:
    """The questions that are answered by true or false."""
    return list(EVERYTHING)


def combinations() -> list[dict[str, str | bool]]:
    """Every choice of every question that has choices, times every boolean."""
    choices = {
        question: default if isinstance(default, list) else [False, True]
        for question, default in questions().items()
        if isinstance(default, (list, bool))
    }
    return [dict(zip(choices, chosen, strict=True)) for chosen in itertools.product(*choices.values())]


def capability_sets() -> list[dict[str, str | bool]]:
    """Every set of capabilities, each with one of the other choices: those change neither Python nor its tools."""
    chosen = [answers for answers in combinations() if answers["ci"] == "gitlab"]
    return [{**answers, "ci": ("gitlab", "github", "jenkins")[index % 3]} for index, answers in enumerate(chosen)]


# What deploy/chart has of a service beside its values; a test shows that nothing else is in it.
CHART_OF = ("database", "tasks")


def charts() -> list[dict[str, str | bool]]:
    """The first set of capabilities of each chart."""
    first: dict[tuple[str | bool, ...], dict[str, str | bool]] = {}
    for answers in capability_sets():
        first.setdefault(chart_of(answers), answers)
    return list(first.values())


def chart_of(answers: dict[str, str | bool]) -> tuple[str | bool, ...]:
    """What tells its chart from others."""
    return tuple(answers[name] for name in CHART_OF)


def label(answers: dict[str, str | bool]) -> str:
    """A short name for a set of answers, for a test's id."""
    return ",".join(f"{question}={answer}" for question, answer in answers.items())
