"""A command, as a person runs it at a terminal."""

from __future__ import annotations

import os
import pty
import re
import select
import time
from pathlib import Path

from environments import TEMPLATE

DEADLINE_SECONDS = 120


def read_until(terminal: int, pattern: str, text: str = "") -> str:
    """Read the terminal until `pattern` is in what it showed; fails at the deadline."""
    until = time.monotonic() + DEADLINE_SECONDS
    while not re.search(pattern, text):
        assert time.monotonic() < until, f"{pattern!r} did not show; the terminal shows:\n{text}"
        if select.select([terminal], [], [], 1)[0]:
            try:
                text += os.read(terminal, 65536).decode()
            except OSError as ended:
                raise AssertionError(f"it ended without {pattern!r}; the terminal shows:\n{text}") from ended
    return text


def make(*arguments: str) -> tuple[int, int]:
    """Start `make` with `arguments` in a terminal; return its process id and the terminal."""
    return at_terminal("make", *arguments, folder=TEMPLATE)


def at_terminal(*command: str, folder: Path) -> tuple[int, int]:
    """Start a command in a terminal; return its process id and the terminal."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(folder)
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    return process, terminal


def exit_code(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
