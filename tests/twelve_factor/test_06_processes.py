"""VI. Processes: stateless, sharing nothing, so that any of them may answer and any may be killed."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import Render
from running import Running, children_of, running
from trees import tree
from widened import Deploy

GREETING = "/api/v1/greeting"


@pytest.fixture(scope="module")
def two(rendered: Render, python: Path) -> Iterator[list[Running]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(running(rendered(), python)) for _ in range(2)]


def test_requests_that_alternate_between_two_get_the_same_answers(two: list[Running]) -> None:
    for process, path in itertools.product(two * 2, [GREETING, f"{GREETING}?name=Ada", "/openapi.json", "/docs"]):
        mine, other = process.get(path), two[0].get(path)
        assert (mine.status, mine.body) == (other.status, other.body)


def test_no_client_is_bound_to_a_process(two: list[Running]) -> None:
    assert "set-cookie" not in two[0].get(GREETING).headers
    identified = [process.get(GREETING, headers={"x-request-id": "the-same"}) for process in two]
    assert [answer.headers["x-request-id"] for answer in identified] == ["the-same", "the-same"]


def test_one_that_is_killed_takes_nothing_with_it(two: list[Running], rendered: Render, python: Path) -> None:
    with running(rendered(), python) as third:
        before = third.get(f"{GREETING}?name=Ada")
        third.process.kill()
        third.process.wait(5)
        with running(rendered(), python, PORT=str(third.port)) as again:
            after = again.get(f"{GREETING}?name=Ada")
    assert (after.status, after.body) == (before.status, before.body)
    assert [process.get(GREETING).status for process in two] == [200, 200]


def test_nothing_is_kept_on_disk(fresh: Render, python: Path, tmp_path: Path) -> None:
    service = fresh()
    (tmp_path / "tmp").mkdir()
    before = tree(service)
    with running(service, python, TMPDIR=str(tmp_path / "tmp"), HOME=str(tmp_path / "tmp"), WEB_CONCURRENCY="2") as one:
        for path in (GREETING, "/docs", "/metrics", "/nothing"):
            one.get(path)
        (shared,) = {folder for worker in children_of(one.process.pid) for folder in shared_folders(worker)}
        assert shared.is_dir()
        assert one.stop() == 0
    assert (tree(service), list((tmp_path / "tmp").iterdir()), shared.exists()) == (before, [], False)


def shared_folders(worker: int) -> list[Path]:
    """Where the workers of a group keep their counts, in memory where that can be."""
    environment = Path(f"/proc/{worker}/environ").read_text(encoding="utf-8").split("\0")
    return [Path(line.partition("=")[2]) for line in environment if Path(line).name.startswith("chassis-")]


@pytest.mark.slow
def test_any_worker_may_be_killed_while_the_others_serve(rendered: Render, python: Path) -> None:
    with running(rendered(), python, WEB_CONCURRENCY="2") as several:
        first = children_of(several.process.pid)
        assert len(first) == 2
        os.kill(first[0], signal.SIGKILL)
        deadline = time.monotonic() + 15
        while len(now := children_of(several.process.pid)) < 2 or first[0] in now or not replaced(several):
            assert several.get(GREETING).status == 200
            assert time.monotonic() < deadline, several.output
        assert first[1] in now
        assert several.stop() == 0


def replaced(service: Running) -> bool:
    metrics = service.get("/metrics").body.decode()
    return 'app_worker_restarts_total{worker="parent"} 1.0' in metrics and metrics.count('app_state="ready"') == 2


@pytest.fixture(params=["embedded", "networked"])
def deploy(request: pytest.FixtureRequest) -> Deploy:
    """The service with every capability: on SQLite, and on PostgreSQL and Redis."""
    found: Deploy = request.getfixturevalue(request.param)
    return found


@pytest.mark.slow
def test_what_one_stores_another_gives_and_none_takes_with_it(deploy: Deploy) -> None:
    texts = [f"{number} before" for number in range(3)]
    with deploy.running() as first, deploy.running() as second:
        for process, text in zip((first, second, first), texts, strict=True):
            assert deploy.ask(process, "POST", "notes", text=text).status == 200
        assert deploy.notes(first) == deploy.notes(second) == texts
        for process in (first, second):
            process.process.kill()
            process.process.wait(5)
    with deploy.running() as third:
        assert deploy.notes(third) == texts
