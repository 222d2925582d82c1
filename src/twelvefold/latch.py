"""Which service is being rolled up: scaraplate tells its context class, and its strategies need it too.

One rollup at a time in a process: scaraplate changes the working directory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from twelvefold.decisions import MergedFile


@dataclass(slots=True)
class Run:
    """One run of scaraplate: the service's folder, and what its merged files became, by path."""

    service: Path
    applied: frozenset[str] | None = None
    """The merged files whose last-applied copy is one, None if all are: the manifest knows what was applied."""
    merged: dict[str, MergedFile] = field(default_factory=dict)
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The keys that the template's text is read without, by merged file: see `twelvefold.engine.application`."""


_run: Run | None = None


def start(target: Path) -> None:
    """Note that a run onto `target` begins, unless it is the render that scaraplate reads in the middle of one."""
    global _run
    if not is_render(target):
        _run = Run(target.resolve())


@contextmanager
def running(run: Run) -> Iterator[None]:
    """Inside, `run` is the one that goes on: scaraplate's strategies are called without its context class."""
    global _run
    before, _run = _run, run
    try:
        yield
    finally:
        _run = before


def current() -> Run:
    """The run that goes on. Raises RuntimeError if scaraplate.yaml does not name `twelvefold.memory.Answers`."""
    if _run is None:
        raise RuntimeError("scaraplate.yaml must name twelvefold.memory.Answers as its cookiecutter_context_type.")
    return _run


def is_render(target: Path) -> bool:
    """Whether `target` is what scaraplate has just rendered: it goes there, beside cookiecutter's settings."""
    return target == Path() and (Path.cwd() / "../../cookiecutter_home/cookiecutterrc.yaml").is_file()
