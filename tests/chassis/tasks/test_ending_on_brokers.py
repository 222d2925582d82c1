"""What ran to its end is never done again, on real brokers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from chassis_tasks import Status, Tasks, TasksUnavailableError, ending, insisting
from fault_proxy import FaultProxy, fault_proxy
from patience import HANGS
from required import PORTS, require_server
from tasks import brokers
from tasks.bench import Runs, counted, errors, is_gone, raises, until, worker
from tasks.queues import SOON_OVER, URLS, new_name, remove
from tasks.results import TOO_LARGE, unkeepable

pytestmark = pytest.mark.anyio
SERVERS = [kind for kind in URLS if kind != "memory"]


@pytest.fixture(autouse=True)
def patiently(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server of this machine is too slow for a result."""
    monkeypatch.setattr(ending, "RECORD_SECONDS", HANGS)
    monkeypatch.setattr(insisting, "PAUSE_SECONDS", 0.01)


@pytest.fixture(params=URLS)
async def named(request: pytest.FixtureRequest) -> AsyncIterator[dict[str, str]]:
    """Settings that name a queue of the test's own on each kind of broker."""
    url, name = URLS[request.param], new_name()
    store = URLS["redis"] if request.param == "amqp" else ""
    for each in {url, store} - {""}:
        require_server(each)
    yield {"broker_url": url, "tasks_store_url": store, "tasks_queue": name}
    for each in {url, store} - {""}:
        await remove(each, name)


@pytest.mark.parametrize("kind", ["no form", "5,000 digits", "too large"])
async def test_nobody_gets_it_again_on_any_broker(part: Tasks, named: dict[str, str], kind: str) -> None:
    values = {**unkeepable(), "too large": TOO_LARGE}
    runs = Runs(part, lambda: values[kind], retries=3)
    async with worker(part, **named) as opened:
        await runs.sent()
        info = await runs.info()
        await until(lambda: is_gone(opened))
    async with worker(part, **named) as opened:  # gives back what it was given, and takes what there is
        assert await is_gone(opened)
        assert await opened.queue.buried() == []
    is_kept = kind == "too large" and named["broker_url"] == URLS["memory"]  # which has no limit
    assert (runs.count, info.status, info.result is None) == (1, Status.DONE, not is_kept)


async def test_odd_words_fit_every_broker(part: Tasks, named: dict[str, str]) -> None:
    runs = Runs(part, raises(ValueError("\ud800 \x00 é")), retries=0)
    async with worker(part, **named) as opened:
        await runs.sent()
        await until(opened.queue.buried)
        [letter] = await opened.queue.buried()
        assert letter.reason == "ValueError: \\ud800 \x00 é"
    assert runs.count == 1


@contextlib.asynccontextmanager
async def proxied(kind: str) -> AsyncIterator[tuple[FaultProxy, str]]:
    """A server behind a proxy that can take it away, and its URL there."""
    require_server(URLS[kind])
    place = urlsplit(URLS[kind])
    async with fault_proxy(str(place.hostname), place.port or PORTS[kind]) as proxy:
        credentials, at, _ = place.netloc.rpartition("@")
        yield proxy, urlunsplit(place._replace(netloc=f"{credentials}{at}127.0.0.1:{proxy.port}"))


@pytest.mark.parametrize("again", [False, True], ids=["connected", "connecting"])
@pytest.mark.parametrize("kind", ["redis", "nats"])
async def test_a_server_of_results_that_says_nothing(
    part: Tasks, kind: str, again: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_server(URLS["amqp"])
    monkeypatch.setattr(ending, "RECORD_SECONDS", 0.3)
    name = new_name()
    async with proxied(kind) as (proxy, url):

        def swallow() -> str:
            proxy.swallow()
            if again:
                proxy.reset()
            return "result"

        runs = Runs(part, swallow, retries=3)
        async with worker(part, broker_url=URLS["amqp"], tasks_queue=name, tasks_store_url=url) as opened:
            await runs.sent()
            await until(lambda: counted(opened, "done_without_result"))
            await until(lambda: is_gone(opened))
            await proxy.heal()
        async with worker(part, broker_url=URLS["amqp"], tasks_queue=name) as opened:
            assert await is_gone(opened)
            assert await opened.queue.buried() == []
    for each in (URLS["amqp"], URLS[kind]):
        await remove(each, name)
    assert runs.count == 1
    # Long before the client gives the server up, which would have words of its own.
    assert [line for line in errors(caplog) if "could not be recorded" in line] == [
        "task work is done, but its result could not be recorded: no answer came in time"
    ]


@pytest.mark.parametrize("fails", [False, True], ids=["done", "failed"])
@pytest.mark.parametrize("kind", SERVERS)
async def test_a_connection_that_is_cut_when_it_ends(kind: str, fails: bool) -> None:
    """Nobody hears of the end at first; the worker says it again, or knows the message when that comes again."""
    name, part = new_name(), Tasks()
    async with proxied(kind) as (proxy, url):
        runs = []

        @part.task(retries=0)
        async def work() -> str:
            await proxy.refuse()
            runs.append(part.running.id)
            asyncio.get_running_loop().call_later(1.5, lambda: healing.append(asyncio.ensure_future(proxy.heal())))
            if fails:
                raise ValueError("no")
            return "result"

        healing: list[asyncio.Future[None]] = []
        named = {"broker_url": url, "tasks_queue": name, "tasks_store_url": "memory://" if kind == "amqp" else ""}
        async with worker(part, tasks_lease_seconds=3, **named) as opened:
            await work.enqueue()

            async def is_settled() -> bool:
                try:
                    return bool(healing) and await is_gone(opened) and len(await opened.queue.buried()) == fails
                except ConnectionError:
                    return False

            await until(is_settled)
            await asyncio.sleep(4)  # it would come again when its lease is over
            assert await is_settled()
    await remove(URLS[kind], name)
    assert len(runs) == 1


@pytest.mark.slow
async def test_a_redis_that_is_full(
    part: Tasks, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes no dead letter, but the acknowledgement of what failed for good."""
    monkeypatch.setattr(ending, "RECORD_SECONDS", 0.3)  # nor what becomes of a task
    async with brokers.redis(tmp_path) as server, server.running(), Redis.from_url(server.url) as redis:
        runs = []

        @part.task(retries=0)
        async def work() -> None:
            await redis.config_set("maxmemory", "1")
            runs.append(part.running.id)
            raise ValueError("no")

        async with worker(part, broker_url=server.url, tasks_lease_seconds=SOON_OVER) as opened:
            await work.enqueue()

            async def has_ended() -> bool:
                return any("is not buried" in line for line in errors(caplog))

            await until(has_ended)
            with pytest.raises(TasksUnavailableError):
                await work.enqueue()
            await redis.config_set("maxmemory", "0")
            assert await is_gone(opened)
            await asyncio.sleep(SOON_OVER + 1)  # it would come again when its lease is over
            assert await is_gone(opened)
        assert len(runs) == 1
