"""What this process writes: every file that it opens for writing, makes, moves, changes or removes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHANGES = frozenset(
    {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.chmod", "os.truncate", "os.link", "os.symlink", "os.utime"}
)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_seen: set[Path] | None = None


@contextmanager
def written() -> Iterator[set[Path]]:
    """Collect the absolute paths of what is written inside."""
    global _seen
    _install()
    before, _seen = _seen, set()
    try:
        yield _seen
    finally:
        _seen = before


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is None:
        return
    if event == "open" and _is_for_writing(*arguments):
        _note(arguments[0])
    elif event in CHANGES and _is_absolute(event, arguments):
        for path in arguments[_FIRST.get(event, slice(1))]:
            _note(path)
    elif event == "shutil.rmtree":
        _note(arguments[0])


# Which arguments are written paths: a link's own, not where it leads.
_FIRST = {"os.rename": slice(2), "os.link": slice(1, 2), "os.symlink": slice(1, 2)}


def _is_absolute(event: str, arguments: tuple[Any, ...]) -> bool:
    """Relative to a folder's descriptor is only what shutil.rmtree removes, which has an event of its own."""
    descriptors = arguments[1:] if event in {"os.remove", "os.rmdir"} else arguments[2:]
    return not any(isinstance(one, int) and one >= 0 for one in descriptors)


def _is_for_writing(path: Any, mode: str | None, flags: int) -> bool:
    return bool(set(mode) & set("wax+")) if mode else bool(flags & WRITING)


def _note(path: Any) -> None:
    if _seen is not None and isinstance(path, str | bytes | os.PathLike):
        _seen.add(Path(os.path.abspath(os.fsdecode(path))))  # noqa: PTH100 - links must not be followed


_is_installed = False


def _install() -> None:
    global _is_installed
    if not _is_installed:
        sys.addaudithook(_hook)  # it can never be taken away
        _is_installed = True
