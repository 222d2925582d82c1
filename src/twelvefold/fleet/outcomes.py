"""What the outcome of a service's turn means to people and to programs."""

from __future__ import annotations

from twelvefold.console import ExitCode
from twelvefold.fleet.results import Outcome, Result

CODES = {
    Outcome.IN_STEP: ExitCode.DONE,
    Outcome.NONE: ExitCode.DONE,
    Outcome.UNKNOWN: ExitCode.DONE,
    Outcome.PROPOSED: ExitCode.DONE,
    Outcome.WOULD_CHANGE: ExitCode.TO_DO,
    Outcome.PERSON: ExitCode.PERSON,
    Outcome.FAILED: ExitCode.FAILED,
}
"""Exit codes; that of a run is the highest."""

KINDS = {
    Outcome.IN_STEP: "settled",
    Outcome.NONE: "note",
    Outcome.UNKNOWN: "note",
    Outcome.PROPOSED: "added",
    Outcome.WOULD_CHANGE: "changed",
    Outcome.PERSON: "open",
    Outcome.FAILED: "deleted",
}
"""Colours on a terminal, by the names of twelvefold.console.COLOURS."""


def line(result: Result) -> str:
    """A result for people."""
    return " ".join(filter(None, [f"{result.name}: {result.outcome}.", result.sentence, result.request]))


def counted(count: int, outcome: Outcome) -> str:
    """How many have an outcome: `1 needs a person`, `2 need a person`."""
    return f"{count} {outcome if count == 1 else outcome.replace('needs', 'need')}"
