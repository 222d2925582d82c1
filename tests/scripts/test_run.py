"""`make run`, as a person at a terminal: it shows what to look at, and Ctrl-C ends it with exit code 0."""

from __future__ import annotations

import os
import pty
import re
import select
import time
import urllib.request
from pathlib import Path

from environments import TEMPLATE

DEADLINE_SECONDS = 120


def read_until(terminal: int, pattern: str, text: str = "") -> str:
    """Read the terminal until `pattern` is in what it showed; fails at the deadline."""
    until = time.monotonic() + DEADLINE_SECONDS
    while not re.search(pattern, text):
        assert time.monotonic() < until, f"{pattern!r} did not show; the terminal shows:\n{text}"
        if select.select([terminal], [], [], 1)[0]:
            text += os.read(terminal, 65536).decode()
    return text


def test_it_serves_until_ctrl_c_and_exits_with_0() -> None:
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(TEMPLATE)
        os.execvp("make", ["make", "run"])  # noqa: S606 - no shell is wanted
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
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
