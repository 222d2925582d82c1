"""VIII. Concurrency: more processes do more, and answer and count as one does."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from conftest import Render
from running import Running, children_of, running
from team import take_over
from widened import Deploy, until

CLIENTS, EACH = 8, 50
Note = Callable[[str, object], None]
COUNTED = re.compile(
    r'^(http_\w+?)\{method="GET",route="/api/v1/greeting"(?:,status="200")?\} ([\d.e+]+)$', re.MULTILINE
)


@pytest.fixture(scope="module", params=["1", "2", "4"])
def several(request: pytest.FixtureRequest, rendered: Render, python: Path) -> Iterator[tuple[int, Running]]:
    with running(rendered(), python, WEB_CONCURRENCY=request.param, APP_ACCESS_LOG="off") as service:
        yield int(request.param), service


def ask(port: int, client: int) -> list[str]:
    """What one client is told over a connection of its own, asking each time by another name."""
    told = []
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        for number in range(EACH):
            connection.request("GET", f"/api/v1/greeting?name={client}-{number}")
            told.append(json.loads(connection.getresponse().read())["message"])
    return told


def counted(service: Running) -> dict[str, float]:
    return {name: float(value) for name, value in COUNTED.findall(service.get("/metrics").body.decode())}


def test_every_request_is_answered_and_counted_once(several: tuple[int, Running], record_property: Note) -> None:
    processes, service = several
    before = counted(service)
    began = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        told = list(pool.map(lambda client: ask(service.port, client), range(CLIENTS)))
    rate = CLIENTS * EACH / (time.perf_counter() - began)
    assert told == [[f"Hello, {client}-{number}!" for number in range(EACH)] for client in range(CLIENTS)]
    after = counted(service)
    sums = {name: after[name] - before.get(name, 0) for name in after}
    assert sums["http_requests_total"] == CLIENTS * EACH
    assert sums["http_request_duration_seconds_count"] == CLIENTS * EACH
    assert sums["http_response_size_bytes_count"] == CLIENTS * EACH
    assert sums["http_response_size_bytes_sum"] == sum(len(f'{{"message":"{each}"}}') for them in told for each in them)
    record_property(f"requests/s of {processes}", round(rate))


def test_there_are_as_many_processes_as_asked_for(several: tuple[int, Running]) -> None:
    processes, service = several
    assert len(children_of(service.process.pid)) == (processes if processes > 1 else 0)
    ready = re.findall(r'^app_state\{app_state="ready".*\} 1.0$', service.get("/metrics").body.decode(), re.MULTILINE)
    assert len(ready) == processes


def test_no_process_goes_into_the_background(several: tuple[int, Running]) -> None:
    """Whoever started it manages it: no daemon, no session of its own, no file with an id."""
    _, service = several
    for pid in [service.process.pid, *children_of(service.process.pid)]:
        assert os.getsid(pid) == os.getsid(0)
        assert not [name for name in os.listdir(f"/proc/{pid}/cwd") if name.endswith(".pid")]  # noqa: PTH208


def test_all_processes_end_with_the_first(rendered: Render, python: Path) -> None:
    with running(rendered(), python, WEB_CONCURRENCY="2") as service:
        workers = children_of(service.process.pid)
        assert service.stop() == 0
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_slow_requests_do_not_wait_for_each_other(rendered: Render, python: Path, tmp_path: Path) -> None:
    """Within one process too: twenty waits of half a second take nothing like ten."""
    service = take_over(Path(shutil.copytree(rendered(), tmp_path / "my-service")))
    with running(service, python) as one, ThreadPoolExecutor(20) as pool:
        began = time.perf_counter()
        answers = list(pool.map(lambda _: one.get("/api/v1/slow/0.5").status, range(20)))
        took = time.perf_counter() - began
    assert answers == [200] * 20
    assert took < 5


TASKS, TASK_SECONDS = 16, 0.5
DONE = 'tasks_total{outcome="done",task="write"}'


def done_by(worker: Running) -> int:
    """How many of the tasks a worker has done."""
    found = re.search(rf"^{re.escape(DONE)} (\d+)", worker.get("/metrics").body.decode(), re.MULTILINE)
    return int(found[1]) if found else 0


@pytest.mark.slow
def test_more_workers_share_the_work_and_do_each_task_once(networked: Deploy) -> None:
    """Two tasks at a time each. How much sooner more of them are done, `make bench NAME=tasks` measures."""
    texts = [f"shared-{number}" for number in range(TASKS)]
    with contextlib.ExitStack() as stack:
        serving = stack.enter_context(networked.running())
        crew = [stack.enter_context(networked.running("worker", APP_TASKS_CONCURRENCY="2")) for _ in range(3)]
        with ThreadPoolExecutor(TASKS) as pool:
            list(pool.map(lambda text: networked.later(serving, text, TASK_SECONDS), texts))
        until(lambda: {*texts} <= {*networked.notes(serving)})
        until(lambda: sum(map(done_by, crew)) == TASKS)
        done = [done_by(each) for each in crew]
        notes = networked.notes(serving)
        assert [each.stop() for each in crew] == [0, 0, 0]
    assert sorted(note for note in notes if note.startswith("shared-")) == sorted(texts)
    assert len([count for count in done if count]) >= 2, done  # a third may come too late on a slow machine


def is_active(scheduler: Running) -> bool:
    return "tasks_scheduler_active 1.0" in scheduler.get("/metrics").body.decode()


@pytest.mark.slow
def test_of_several_schedulers_one_is_active_and_another_follows(networked: Deploy) -> None:
    kinds = ("serve", "worker", "scheduler", "scheduler", "scheduler")
    with contextlib.ExitStack() as stack:
        serving, _, *schedulers = [stack.enter_context(networked.running(kind)) for kind in kinds]
        until(lambda: any(map(is_active, schedulers)))
        began, before = time.monotonic(), networked.everything(serving).count("tick")
        time.sleep(2.5)
        assert [is_active(each) for each in schedulers].count(True) == 1
        ticks = networked.everything(serving).count("tick") - before
        assert 1 <= ticks <= time.monotonic() - began + 1.5  # one a second, not three
        first = next(each for each in schedulers if is_active(each))
        assert first.stop() == 0
        schedulers.remove(first)
        until(lambda: [is_active(each) for each in schedulers].count(True) == 1, seconds=15)
        after = networked.everything(serving).count("tick")
        until(lambda: networked.everything(serving).count("tick") > after, seconds=15)
