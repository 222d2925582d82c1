"""A broker that goes away and comes back: nothing that was sent is lost."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from patience import HANGS
from service_process import Running
from tasks.brokers import BROKERS, Server
from tasks.processes import SERVERS, make_site

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

CONCURRENCY, WORKERS, TOGETHER = 20, 2, 50
LEASE_SECONDS = 6  # a worker may stand still for four of them, and keeps what it holds


async def ready(workers: list[Running], status: int) -> None:
    """Wait until the readiness of each has this status."""
    for worker in workers:
        async with asyncio.timeout(HANGS):
            while (await worker.ask("/readyz")).status != status:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def server(broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """A broker of the test's own, not running yet, which its site is attached to."""
    (tmp_path / "data").mkdir()
    async with BROKERS[broker](tmp_path / "data") as server:
        monkeypatch.setitem(SERVERS, broker, server.url)
        yield server


async def test_nothing_is_lost_when_a_broker_is_killed(broker: str, server: Server, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with server.running():
            settings = {"APP_TASKS_LEASE_SECONDS": str(LEASE_SECONDS), "APP_TASKS_CONCURRENCY": str(CONCURRENCY)}
            site = make_site(tmp_path / "site", broker, **settings)
            workers = [await stack.enter_async_context(site.launched("worker")) for _ in range(WORKERS)]
            for worker in workers:
                await worker.listening()
            flooding = asyncio.create_task(site.run("flood 0 600 --seconds 0.3"))
            while len(site.done()) < 100:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await ready(workers, 503)
        assert len(site.done()) < 600
        async with server.running():
            await flooding
            names = {str(number) for number in range(600)}
            await site.all_done(names)
            await asyncio.sleep(LEASE_SECONDS + 2)  # what is done twice comes back when a lease is over
            assert site.done().keys() == names
            # What each worker had in hand is done again, and so is what a sender that got no answer sent again.
            assert sum(site.done().values()) <= 600 + WORKERS * CONCURRENCY + TOGETHER
            await ready(workers, 200)
        await ready(workers, 503)
        async with server.running():  # they had nothing to do while it was away
            await site.run("flood 600 610")
            await site.all_done({str(number) for number in range(600, 610)})
            for worker in workers:
                worker.signal(signal.SIGTERM)
            for worker in workers:
                assert await worker.ended() == 0


async def test_what_starts_before_its_broker_waits_for_it(
    broker: str, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # make_site asks whether it is there.
    monkeypatch.setattr("tasks.processes.require_server", lambda url: None)
    async with contextlib.AsyncExitStack() as stack:
        site = make_site(tmp_path / "site", broker)
        serving, working, ended = [
            await stack.enter_async_context(site.launched(command)) for command in ("serve", "worker", "worker")
        ]
        for process in (serving, working, ended):
            await process.listening()
            assert [(await process.ask(path)).status for path in ("/livez", "/startupz")] == [200, 200]
            answer = await process.ask("/readyz")
            assert answer.status == 503
            assert "ConnectionError" in answer.json()["checks"]["broker"]
            await process.said("check broker failed: ")
        answer = await serving.ask("/note?name=early", method="POST")
        assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json")
        await working.said("no tasks are taken until this process is ready")
        ended.signal()
        assert await ended.ended() == 0
        async with server.running():
            await ready([serving, working], 200)
            assert (await serving.ask("/note?name=late", method="POST")).status == 200
            await site.all_done({"late"})
            assert site.done() == {"late": 1}
            for process in (serving, working):
                process.signal()
            for process in (serving, working):
                assert await process.ended() == 0
                assert process.errors() == []
