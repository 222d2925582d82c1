"""What the outcome of a service's turn means to people and to programs."""

from __future__ import annotations

from twelvefold.fleet.results import Outcome, Result

CODES = {
    Outcome.IN_STEP: 0,
    Outcome.NONE: 0,
    Outcome.UNKNOWN: 0,
    Outcome.PROPOSED: 0,
    Outcome.WOULD_CHANGE: 1,
    Outcome.PERSON: 2,
    Outcome.FAILED: 3,
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
"""Colours on a terminal, by the names of twelvefold.cli.COLOURS."""


def line(result: Result) -> str:
    """A result for people."""
    return " ".join(filter(None, [f"{result.name}: {result.outcome}.", result.sentence, result.request]))


def counted(count: int, outcome: Outcome) -> str:
    """How many have an outcome: `1 needs a person`, `2 need a person`."""
    return f"{count} {outcome if count == 1 else outcome.replace('needs', 'need')}"
