"""The one place that prints, and that knows what an exit code means."""

from __future__ import annotations

import enum
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import click

COLOURS = {
    "title": {"bold": True},
    "added": {"fg": "green"},
    "deleted": {"fg": "red"},
    "changed": {"fg": "blue"},
    "settled": {"fg": "cyan"},
    "open": {"fg": "yellow"},
    "summary": {"bold": True},
}


class ExitCode(enum.IntEnum):
    """How a command ended."""

    DONE = 0  # or there was nothing to do
    TO_DO = 1  # there is something to do, and it was not asked for
    PERSON = 2  # bad input, or a person should look
    FAILED = 3  # something outside failed: git, the network, the disk
    INTERRUPTED = 130  # Ctrl-C: the shell's own code, so that it is not taken for one of ours


class Judged(Protocol):
    """What was decided about an edit."""

    @property
    def needs_person(self) -> bool:
        """Whether somebody should look at it."""


def exit_code(decisions: Iterable[Judged]) -> ExitCode:
    """PERSON if somebody should look at one of the decisions, else DONE."""
    return ExitCode.PERSON if any(decision.needs_person for decision in decisions) else ExitCode.DONE


def say(line: str) -> None:
    """Print a line without a colour, for programs too."""
    click.echo(line)


def show(kind: str, line: str) -> None:
    """Print a line in the colour of its kind, if on a terminal."""
    click.echo(click.style(line, **COLOURS.get(kind, {})))  # type: ignore[arg-type]


def show_text(text: str) -> None:
    """Print a text of many lines as it is, such as a patch."""
    click.echo(text, nl=False)


def warn(line: str) -> None:
    """Print a line where it is not taken for the command's result."""
    click.echo(line, err=True)


@contextmanager
def unread() -> Iterator[None]:
    """Go on in silence if nobody reads what is printed inside any more, as `head` does not: the exit code stays."""
    try:
        yield
    except BrokenPipeError:
        # as in the note on SIGPIPE in https://docs.python.org/3/library/signal.html
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
