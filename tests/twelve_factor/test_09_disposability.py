"""IX. Disposability: a process starts fast, ends gracefully, and may be killed at any moment without harm."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from children import child
from conftest import Render
from ports import free_port
from required import require_program
from running import Running, children_of, environment_of, resident, running
from widened import Deploy, until

# What else tries to break the promise, where the chassis is tested: for the page of the factors.
ALSO = ("tests/chassis/process/test_rolling_restart.py",)
PATH = "/api/v1/greeting"
RSS_MIB = 70
WIDENED_RSS_MIB = 110
DRAIN_SECONDS = 1.5


@dataclass
class Load:
    """What wrk saw."""

    requests: int
    errors: int


def load_during(service: Running, seconds: float, sig: int = signal.SIGTERM) -> Load:
    """Send requests as fast as one thread can; after half a second, send `sig`."""
    url = f"http://127.0.0.1:{service.port}{PATH}"
    options = ["--threads", "1", "--connections", "16", "--duration", f"{seconds:.0f}s"]
    with child(require_program("wrk"), *options, url, stdout=subprocess.PIPE) as load:
        time.sleep(0.5)
        service.process.send_signal(sig)
        output = load.communicate(timeout=30)[0]
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    counted = [*(errors.groups() if errors else ()), *(refused.groups() if refused else ())]
    requests = re.search(r"(\d+) requests in", output)
    return Load(int(requests[1]) if requests else 0, sum(map(int, counted)))


@pytest.mark.usefixtures("really_started")
def test_it_stays_small(rendered: Render, python: Path) -> None:
    """How fast it starts, `make bench NAME=service` measures; what it imports for that, test_service.py counts."""
    with running(rendered(), python) as started:
        assert started.get(PATH).status == 200
        assert resident(started.process.pid) <= RSS_MIB
        assert started.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2", "4"])
def test_nothing_is_refused_or_lost_while_it_drains(processes: str, rendered: Render, python: Path) -> None:
    with running(rendered(), python, APP_DRAIN_SECONDS=str(DRAIN_SECONDS), WEB_CONCURRENCY=processes) as started:
        load = load_during(started, seconds=1)
        assert started.process.wait(10) == 0
    assert load.requests > 100
    assert load.errors == 0


@pytest.mark.parametrize("how", [{"APP_DRAIN_SECONDS": "0"}, {"sig": signal.SIGKILL}], ids=["no drain", "killed"])
def test_the_load_notices_when_something_is_lost(how: dict[str, str], rendered: Render, python: Path) -> None:
    sig = int(how.pop("sig", signal.SIGTERM))
    with running(rendered(), python, **how) as started:
        assert load_during(started, seconds=2, sig=sig).errors > 0


def test_it_may_be_killed_and_started_again_and_again(rendered: Render, python: Path) -> None:
    port = free_port()
    for _ in range(3):
        with running(rendered(), python, PORT=str(port)) as started:
            assert started.get(PATH).status == 200
            started.process.kill()
            assert started.process.wait(5) == -signal.SIGKILL


@pytest.mark.usefixtures("really_started")
def test_a_signal_while_it_starts_ends_it_at_once(rendered: Render, python: Path) -> None:
    service = rendered()
    for seconds in (0.05, 0.2, 0.5):
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        environment = environment_of(service)
        with child(python, "-m", "my_service", "serve", cwd=service, env=environment, **pipes) as starting:
            time.sleep(seconds)
            starting.terminate()
            assert starting.wait(10) in (0, -signal.SIGTERM)
            assert starting.stderr is not None
            assert starting.stderr.read() == ""


def test_a_parent_that_is_killed_leaves_no_process(rendered: Render, python: Path) -> None:
    with running(rendered(), python, WEB_CONCURRENCY="2") as started:
        workers = children_of(started.process.pid)
        started.process.kill()
        deadline = time.monotonic() + 10
        while left := [pid for pid in workers if Path(f"/proc/{pid}").exists() and not is_zombie(pid)]:
            assert time.monotonic() < deadline, left
            time.sleep(0.05)


def is_zombie(pid: int) -> bool:
    """Whether it has ended, and whoever should have noticed has not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.slow
@pytest.mark.usefixtures("really_started")
@pytest.mark.parametrize("kind", ["serve", "worker", "scheduler"])
def test_with_everything_on_each_process_type_stays_small(networked: Deploy, kind: str) -> None:
    with networked.running(kind) as started:
        assert started.get("/readyz").status == 200
        assert resident(started.process.pid) <= WIDENED_RSS_MIB
        assert started.stop() == 0


def test_a_worker_that_is_stopped_finishes_what_it_is_at(networked: Deploy) -> None:
    with networked.running() as serving, networked.running("worker") as worker:
        task = networked.later(serving, "finished", 1.5)
        networked.await_status(serving, task, "running")
        assert worker.stop() == 0
        assert networked.status(serving, task) == "done"
        assert networked.notes(serving).count("finished") == 1
    assert worker.errors == []


@pytest.mark.slow
def test_what_a_killed_worker_was_at_is_done_by_another(networked: Deploy) -> None:
    lease = {"APP_TASKS_LEASE_SECONDS": "6"}  # a worker may stand still for four of them, and keeps what it holds
    with networked.running() as serving, networked.running("worker", **lease) as killed:
        task = networked.later(serving, "survived", 1.5)
        networked.await_status(serving, task, "running")
        killed.process.kill()
        with networked.running("worker", **lease):
            until(lambda: networked.status(serving, task) == "done", seconds=60)
        assert networked.notes(serving).count("survived") == 1


@pytest.mark.slow
def test_on_its_defaults_it_works_off_what_is_queued_before_it_ends(embedded: Deploy) -> None:
    with embedded.running() as serving:
        for number in range(5):
            embedded.later(serving, f"queued {number}", 0.5)
        assert serving.stop() == 0
    with embedded.running() as again:
        assert sorted(embedded.notes(again)) == [f"queued {number}" for number in range(5)]
        again.process.kill()
        again.process.wait(5)
    assert embedded.command("db", "check").returncode == 0
