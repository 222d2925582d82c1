"""Workers that die, hang or cannot write: each takes its one service with it, and no more."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from commands import run
from fleets import Fleet
from twelvefold.fleet import pool
from twelvefold.fleet.results import Results, TurnOutcome

# What a command does to the worker that runs it, by the service's name.
HARM = """
case "$PWD" in
  */killed*) kill -KILL $PPID ;;
  */ended*) kill -TERM $PPID; sleep 60 ;;
  */hangs*) kill -STOP $PPID; sleep 60 ;;
  *) echo more >more.txt ;;
esac
"""


@pytest.mark.slow
def test_a_worker_that_is_lost_takes_its_one_service_with_it(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "GRACE", 1.0)
    fleet.add("a", "ended", "hangs", "killed", "z")
    fleet.configure(timeout_seconds=3)
    run = ("run", "--jobs", "2", "--branch", "chore/more", "--")
    fleet.run(*run, "true")  # so that of each the commit is known that was looked at
    said = fleet.run(*run, "sh", "-c", HARM, exit_code=3)
    assert "5 services: 3 failed, 2 proposed." in said
    assert "killed: failed. The worker process died of -9." in said
    assert "ended: failed. The worker process died of 143." in said
    assert "hangs: failed. It was not done in 4 s." in said
    found = {result.name: result for _, result in Results(fleet.folder / ".fleet/runs/chore-more").all()}
    assert {name for name, result in found.items() if result.outcome is TurnOutcome.PROPOSED} == {"a", "z"}
    assert {result.head for result in found.values() if result.outcome is TurnOutcome.FAILED} == {""}  # looked at again


def test_a_disk_that_takes_no_results_ends_the_run_with_a_sentence(fleet: Fleet) -> None:
    fleet.add("a", "b")
    (fleet.folder / ".fleet").mkdir()
    (fleet.folder / ".fleet/results").symlink_to("/proc/self")
    said = fleet.run("rollup", "--jobs", "2", exit_code=3)
    assert "results cannot be written to" in said
    assert "Traceback" not in said


# A worker at its end, when only a thread is waited for, which ends it once more.
LATE = """
import multiprocessing
import os
import signal
import threading
import time

from twelvefold.fleet import pool


def late() -> None:
    time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)


def work() -> None:
    pool._begin()
    threading.Thread(target=late).start()


if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join()
    print(process.exitcode)
"""


def test_a_worker_that_ends_already_is_ended_without_a_word(tmp_path: Path) -> None:
    (tmp_path / "late.py").write_text(LATE, encoding="utf-8")
    done = run(sys.executable, tmp_path / "late.py")
    assert (done.stdout, done.stderr) == ("0\n", "")
