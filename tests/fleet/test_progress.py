"""What is seen of a run while it runs, at a terminal and elsewhere, and what Ctrl-C does to it."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from pathlib import Path

import pytest

from fleets import Fleet
from terminal import at_terminal, exit_code, read_until
from twelvefold.fleet.progress import progress
from twelvefold.fleet.results import Result, TurnOutcome

PROGRAM = str(Path(sys.executable).parent / "twelvefold")


def test_without_a_terminal_each_service_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(2, "canary") as tell:
        tell(Result("a", "u", TurnOutcome.PROPOSED, sentence="2 files."))
        tell(Result("b", "u", TurnOutcome.FAILED, sentence="No luck."))
    assert capsys.readouterr().out.splitlines() == [
        "canary 1/2 a: proposed. 2 files.",
        "canary 2/2 b: failed. No luck.",
    ]


@pytest.mark.parametrize("jobs", ["1", pytest.param("2", marks=pytest.mark.slow)])
def test_a_bar_at_a_terminal_and_ctrl_c(jobs: str, fleet: Fleet) -> None:
    fleet.add("a", "b")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hanging = {"url": f"http://127.0.0.1:{silent.getsockname()[1]}/acme/silent.git"}
        fleet.configure(services=[{"url": "git/*.git"}, hanging])
        process, terminal = at_terminal(PROGRAM, "fleet", "rollup", "--jobs", jobs, folder=fleet.folder)
        shown = read_until(terminal, r"2/3")
        assert "all" in shown  # the wave
        assert re.search(r"\d:\d\d:\d\d|-:--:--", shown)  # the estimate
        with silent.accept()[0]:
            os.write(terminal, b"\x03")
            began = time.monotonic()
            shown = read_until(terminal, r"twelvefold fleet rollup --resume", shown)
            assert exit_code(process) == 130
            assert time.monotonic() - began < 10
    assert "Traceback" not in shown
    assert "failed" not in shown
    before = fleet.results()
    assert set(before) == {"a", "b"}
    fleet.configure()
    said = fleet.run("rollup", "--jobs", "1", "--resume")
    assert "2 services: 2 proposed." in said
    assert {name: result.at for name, result in fleet.results().items()} == {
        name: result.at for name, result in before.items()
    }
    assert "No run was interrupted" in fleet.run("rollup", "--jobs", "1", "--resume", exit_code=2)
