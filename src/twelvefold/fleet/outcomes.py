"""What the outcome of a service's turn means to people and to programs."""

from __future__ import annotations

from twelvefold.console import ExitCode
from twelvefold.fleet.results import Result, TurnOutcome

CODES = {
    TurnOutcome.IN_STEP: ExitCode.DONE,
    TurnOutcome.NONE: ExitCode.DONE,
    TurnOutcome.UNKNOWN: ExitCode.DONE,
    TurnOutcome.PROPOSED: ExitCode.DONE,
    TurnOutcome.WOULD_CHANGE: ExitCode.TO_DO,
    TurnOutcome.PERSON: ExitCode.PERSON,
    TurnOutcome.FAILED: ExitCode.FAILED,
}
"""Exit codes; that of a run is the highest."""

KINDS = {
    TurnOutcome.IN_STEP: "settled",
    TurnOutcome.NONE: "note",
    TurnOutcome.UNKNOWN: "note",
    TurnOutcome.PROPOSED: "added",
    TurnOutcome.WOULD_CHANGE: "changed",
    TurnOutcome.PERSON: "open",
    TurnOutcome.FAILED: "deleted",
}
"""Colours on a terminal, by the names of twelvefold.console.COLOURS."""


def line(result: Result) -> str:
    """A result for people."""
    return " ".join(filter(None, [f"{result.name}: {result.outcome}.", result.sentence, result.request]))


def counted(count: int, outcome: TurnOutcome) -> str:
    """How many have an outcome: `1 needs a person`, `2 need a person`."""
    return f"{count} {outcome if count == 1 else outcome.replace('needs', 'need')}"
