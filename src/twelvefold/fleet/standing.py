"""Where each service stands, as a table for people and as data for programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from twelvefold.fleet.listing import Listed
from twelvefold.fleet.outcomes import KINDS
from twelvefold.fleet.results import Result, TurnOutcome

HEADINGS = ("service", "version", "state", "drift", "")
NEVER = "To look: twelvefold fleet rollup --check"


def cells(one: Listed, result: Result | None) -> tuple[str, ...]:
    """A service's row: its name, version and state, how many files drifted, and its request or else what happened."""
    if result is None:
        return one.name, "?", "not looked at yet", "", ""
    drift = str(len(result.drift) or "")
    return one.name, result.version or "?", str(result.outcome), drift, result.request or result.sentence


def table(rows: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    """Lines in columns, each with its kind for `console.show`. The last column may be of any length."""
    kinds = {str(outcome): kind for outcome, kind in KINDS.items()}
    widths = [max(map(len, column)) for column in zip(HEADINGS, *rows, strict=True)][:-1]
    yield "title", _line(HEADINGS, widths)
    for row in rows:
        yield kinds.get(row[2], "note"), _line(row, widths)


def _line(row: Sequence[str], widths: Iterable[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
    return "  ".join([*padded, row[-1]]).rstrip()


def data(one: Listed, result: Result | None) -> dict[str, Any]:
    """A service's row for programs: each field of a result, whether there is one or not, and the name of its files."""
    return {**asdict(result or Result(one.name, one.url, TurnOutcome.UNKNOWN)), "key": one.key}
