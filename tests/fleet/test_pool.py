"""Workers that die, hang or cannot write: each takes its one service with it, and no more."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from pathlib import Path

import pytest
from pebble import ProcessPool

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


class Unused:
    """What starts no process, and has nothing to wait for."""

    def Semaphore(self, _: int) -> None:  # noqa: N802
        """None of it is acquired."""


# A worker that is not the first takes its time to start.
SLOW_START = """
import os
import sys
import time

if "--multiprocessing-fork" in sys.argv:
    try:
        os.close(os.open({first!r}, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        time.sleep(2)
"""


def test_no_worker_is_ended_before_it_has_begun(fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would say so by a traceback: what the workers share is gone by then."""

    class Watched(ProcessPool):
        def join(self, timeout: float | None = None) -> None:
            workers = multiprocessing.active_children()
            super().join(timeout)
            codes.update({worker.pid: worker.exitcode for worker in workers})

    codes: dict[int | None, int | None] = {}
    monkeypatch.setattr(pool, "ProcessPool", Watched)
    (tmp_path / "sitecustomize.py").write_text(SLOW_START.format(first=str(tmp_path / "first")), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    fleet.add("a")
    fleet.run("run", "--jobs", "2", "--branch", "chore/more", "--", "true")
    assert len(codes) == 2
    assert -signal.SIGTERM not in codes.values()


def test_without_work_none_is_begun_nor_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "get_context", lambda _: Unused())
    with pool.workers(2) as both:
        assert [*both.do([])] == []


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
    pool._begin(multiprocessing.get_context("spawn").Semaphore(0))
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
