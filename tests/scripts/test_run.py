"""`make run`, as a person at a terminal: it shows what to look at, and Ctrl-C ends it with exit code 0."""

from __future__ import annotations

import os
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from environments import TEMPLATE
from terminal import exit_code, make, read_until


@pytest.fixture(autouse=True)
def alone() -> Iterator[None]:
    """Each of these renders into the same folder."""
    (TEMPLATE / ".cache").mkdir(exist_ok=True)
    with FileLock(TEMPLATE / ".cache/run.lock"):
        yield


@pytest.mark.slow
def test_it_serves_until_ctrl_c_and_exits_with_0() -> None:
    process, terminal = make("run")
    shown = read_until(terminal, r"Ctrl-C ends it\.")
    address = re.findall(r"http://127\.0\.0\.1:\d+", shown)[0]
    for path in ("/api/v1/greeting", "/docs", "/metrics", "/livez"):
        assert f"{address}{path}" in shown
        with urllib.request.urlopen(f"{address}{path}", timeout=10) as response:
            assert response.status == 200
    code = re.findall(r"the code +(\S+)", shown)[0]
    assert (Path(code) / "vendor/chassis").is_dir()
    os.write(terminal, b"\x03")
    read_until(terminal, r"twelvefold: Stopped\.")
    assert exit_code(process) == 0


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["Rendering a service", "Installing it", "Starting it"])
def test_ctrl_c_before_it_serves_stops_it_without_a_traceback(moment: str) -> None:
    process, terminal = make("run")
    shown = read_until(terminal, moment)
    os.write(terminal, b"\x03")
    shown = read_until(terminal, r"Error 130", shown)
    assert "twelvefold: Stopped." in shown
    assert "Traceback" not in shown
    assert "Ctrl-C ends it." not in shown
    assert exit_code(process) == 2  # make's, for whatever its command returned
