"""Worker and scheduler as processes of their own, on a real broker."""

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from patience import HANGS
from service_process import Running
from tasks.kills import CONCURRENCY, LEASE_SECONDS, killed_under_load
from tasks.processes import SERVERS, Site, make_site
from tasks.queues import remove

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture(params=SERVERS)
async def site(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Site]:
    site = make_site(tmp_path, request.param, APP_TASKS_LEASE_SECONDS=str(LEASE_SECONDS))
    yield site
    for url in {site.environ["BROKER_URL"], site.environ["APP_TASKS_STORE_URL"]} - {""}:
        await remove(url, site.environ["APP_TASKS_QUEUE"])


@contextlib.asynccontextmanager
async def worker(site: Site, **environ: str) -> AsyncIterator[Running]:
    async with site.launched("worker", **environ) as process:
        await process.listening()
        yield process


async def test_from_the_request_to_the_worker(site: Site) -> None:
    async with worker(site) as working, site.launched("serve") as serving:
        await serving.listening()
        answer = await serving.ask("/note?name=a", method="POST", headers="x-request-id: request-1\r\n")
        await site.all_done({"a"})
        await working.said('"task note done"')
        (line,) = [line for line in working.lines() if line["message"] == "task note done"]
        assert (line["request_id"], line["task_id"], line["attempt"]) == ("request-1", answer.json(), 1)
        await serving.said("POST /note 200")
        (access,) = [line for line in serving.lines() if line.get("route") == "/note"]
        assert line["trace_id"] == access["trace_id"]
        info = (await serving.ask(f"/tasks/{answer.json()}")).json()
        assert (info["status"], info["result"]) == ("done", "a")
        for path, status in (("/livez", 200), ("/startupz", 200), ("/readyz", 200), ("/note", 404)):
            assert (await working.ask(path)).status == status
        assert 'tasks_total{outcome="done",task="note"} 1.0' in (await working.ask("/metrics")).body
        assert "tasks_total{" not in (await serving.ask("/metrics")).body  # it only sends
        for process in (working, serving):
            process.signal()
            assert await process.ended() == 0
            assert process.errors() == []


async def test_a_worker_that_is_killed_on_an_idle_queue_loses_nothing(site: Site) -> None:
    async with worker(site) as killed:
        await site.run("flood 0 20 --seconds 60")
        await asyncio.sleep(1)
        killed.signal(signal.SIGKILL)
        await killed.ended()
    assert site.done() == {}
    # They would take a minute again; what is to be seen is that they are worked on again.
    async with worker(site, APP_TASKS_SHUTDOWN_SECONDS="0") as other:
        began = time.monotonic()
        while (in_flight := await _figure(other, "tasks_in_flight")) < 20:
            assert time.monotonic() < began + HANGS, in_flight
            await asyncio.sleep(0.1)
        other.signal()
        assert await other.ended() == 0
        assert other.output().count('"outcome": "handed_back"') + other.output().count('"outcome":"handed_back"') == 20


async def _figure(process: Running, name: str) -> float:
    body = (await process.ask("/metrics")).body
    return float(next(line.split()[1] for line in body.splitlines() if line.startswith(f"{name} ")))


async def test_a_worker_that_is_stopped_finishes_and_hands_back_the_rest_at_once(site: Site) -> None:
    long_lease = {"APP_TASKS_LEASE_SECONDS": "3600"}
    async with worker(site, APP_TASKS_CONCURRENCY="2", **long_lease) as stopped:
        # Half a minute of work for this worker, so that a machine that stands still does not see the end of it.
        await site.run("flood 0 120 --seconds 0.5")
        await site.one_done()
        stopped.signal()
        assert await stopped.ended() == 0
    before = site.done()
    assert 1 <= len(before) < 120
    async with worker(site, APP_TASKS_CONCURRENCY="60", **long_lease):
        await site.all_done({str(number) for number in range(120)})
    assert set(site.done().values()) == {1}


async def test_an_unhealthy_worker_takes_nothing_and_goes_on_by_itself(site: Site) -> None:
    async with worker(site) as working:
        (site.folder / "database-is-down").touch()
        await working.said("tasks are taken")  # "no more", or "no … until", if it had not yet begun
        assert (await working.ask("/readyz")).status == 503
        await site.run("flood 0 5")
        await asyncio.sleep(2)
        assert site.done() == {}
        (site.folder / "database-is-down").unlink()
        await site.all_done({str(number) for number in range(5)})


async def test_of_two_schedulers_one_is_active_and_the_other_takes_over(site: Site) -> None:
    async with worker(site), site.launched("scheduler") as first:
        await first.listening()
        await first.said("this scheduler is active")
        async with site.launched("scheduler") as second:
            await second.listening()
            await asyncio.sleep(3)
            assert "active" not in second.output()
            first.signal(signal.SIGKILL)
            await second.said("this scheduler is active")
            ticks, began = site.done()["tick"], time.monotonic()
            while (more := site.done()["tick"] - ticks) < 3:
                assert time.monotonic() < began + HANGS, more
                await asyncio.sleep(0.1)
            # One a second, and one for all that was missed.
            assert more <= time.monotonic() - began + 2
            second.signal()
            assert await second.ended() == 0


async def test_the_commands(site: Site) -> None:
    one = (await site.run('tasks send note --json {"name":"x"}')).strip()
    assert f'"id": "{one}"' in await site.run(f"tasks show {one}")
    assert '"status": "cancelled"' in await site.run(f"tasks cancel {one}")
    assert await site.run("tasks dead list --json") == "[]\n"


async def test_workers_that_are_killed_under_load_lose_nothing(site: Site) -> None:
    """`make bench NAME=tasks_kill` of the template does the same with 10,000 tasks and ten kills."""
    outcome = await killed_under_load(site, 1500, 3)
    assert (outcome.lost, outcome.kills) == (0, 3)
    assert outcome.twice <= outcome.kills * CONCURRENCY  # what a worker may have in hand
