"""How far a run is, while it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twelvefold.console import show, unread
from twelvefold.fleet.outcomes import KINDS, line
from twelvefold.fleet.results import Result, TurnOutcome

QUIET = frozenset({TurnOutcome.IN_STEP, TurnOutcome.NONE, TurnOutcome.PROPOSED})

Tell = Callable[[Result], None]


@contextmanager
def progress(total: int, title: str) -> Iterator[Tell]:
    """A bar with counts and an estimate on a terminal; a line a service elsewhere."""
    with _bar(total, title) if sys.stderr.isatty() else _lines(total, title) as tell:
        yield tell


@contextmanager
def _lines(total: int, title: str) -> Iterator[Tell]:
    done = 0

    def tell(result: Result) -> None:
        nonlocal done
        done += 1
        with unread():
            show(KINDS[result.outcome], f"{title} {done}/{total} {line(result)}")

    yield tell


@contextmanager
def _bar(total: int, title: str) -> Iterator[Tell]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)

        def tell(result: Result) -> None:
            bar.advance(task)
            if result.outcome not in QUIET:
                bar.console.print(line(result), markup=False, highlight=False)

        yield tell
