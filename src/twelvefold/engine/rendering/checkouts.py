"""Templates at one commit, in folders, and what was found out about them: kept while many services are rendered."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, ModuleType

from twelvefold.engine.template import Template, finding_once

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a folder of a random name is made there
ROOM = 32 * 1024 * 1024  # bytes: ten times what a render of this template takes


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of a file of the template: whether it is binary, and its line end as `open` takes it."""

    is_binary: bool
    newline: str | None = None


@dataclass(slots=True)
class Checkout:
    """A template's files in a folder, and what was found out about them.

    That is what Jinja made of them, its own modules, and which files are binary.
    """

    template: Template
    folder: Path
    compiled: dict[tuple[object, ...], CodeType] = field(default_factory=dict)
    modules: dict[str, ModuleType] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)


@dataclass(slots=True)
class Checkouts:
    """The checkouts below a folder."""

    scratch: Path
    made: dict[tuple[Path, str], Checkout] = field(default_factory=dict)

    def of(self, template: Template) -> Checkout:
        """The template's checkout, made when it is asked for first."""
        key = (template.repository, template.commit)
        if key not in self.made:
            folder = self.scratch / str(len(self.made)) / "template"
            folder.mkdir(parents=True)
            template.checkout(folder)
            self.made[key] = Checkout(template, folder)
        return self.made[key]


_kept: Checkouts | None = None


@contextlib.contextmanager
def keeping_checkouts() -> Iterator[Checkouts]:
    """Find and check each template out once, until the end of the context: for many services one after the other."""
    global _kept
    if _kept is not None:
        yield _kept
        return
    with scratch() as folder, finding_once():
        _kept = Checkouts(folder)
        try:
            yield _kept
        finally:
            _kept = None


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder that goes at the end of the context."""
    with tempfile.TemporaryDirectory(prefix="twelvefold-", dir=memory_disk()) as folder:
        yield Path(folder)


def memory_disk() -> str | None:
    """A disk in memory, if there is room on one and the user has not said where to: some hundred files come and go."""
    if "TMPDIR" in os.environ or not os.access(SHARED_MEMORY, os.W_OK | os.X_OK):
        return None
    disk = os.statvfs(SHARED_MEMORY)
    return SHARED_MEMORY if disk.f_bavail * disk.f_frsize >= ROOM else None
