"""`make run`, as a person at a terminal: it shows what to look at, and Ctrl-C ends it with exit code 0."""

from __future__ import annotations

import os
import pty
import re
import select
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

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


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Each of these renders into the same folder."""
    (TEMPLATE / ".cache").mkdir(exist_ok=True)
    with FileLock(TEMPLATE / ".cache/run.lock"):
        yield


def make_run() -> tuple[int, int]:
    """Start `make run` in a terminal; return its process id and the terminal."""
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(TEMPLATE)
        os.execvp("make", ["make", "run"])  # noqa: S606 - no shell is wanted
    return process, terminal


def exit_code(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def test_it_serves_until_ctrl_c_and_exits_with_0() -> None:
    process, terminal = make_run()
    shown = read_until(terminal, r"Ctrl-C ends it\.")
    address = re.findall(r"http://127\.0\.0\.1:\d+", shown)[0]
    for path in ("/api/v1/greeting", "/docs", "/metrics", "/livez"):
        assert f"{address}{path}" in shown
        with urllib.request.urlopen(f"{address}{path}", timeout=10) as response:
            assert response.status == 200
    code = re.findall(r"the code +(\S+)", shown)[0]
    assert (Path(code) / "src/chassis").is_dir()
    os.write(terminal, b"\x03")
    read_until(terminal, r"twelvefold: Stopped\.")
    assert exit_code(process) == 0


@pytest.mark.parametrize("moment", ["Rendering a service", "Installing it", "Starting it"])
def test_ctrl_c_before_it_serves_stops_it_without_a_traceback(moment: str) -> None:
    process, terminal = make_run()
    shown = read_until(terminal, moment)
    os.write(terminal, b"\x03")
    shown = read_until(terminal, r"Error 130", shown)
    assert "twelvefold: Stopped." in shown
    assert "Traceback" not in shown
    assert "Ctrl-C ends it." not in shown
    assert exit_code(process) == 2  # make's, for whatever its command returned
