"""What every queue promises, whatever server is behind it."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from redis.asyncio import Redis

from chassis_tasks.queue import Queue
from children import async_child
from fault_proxy import FaultProxy, fault_proxy
from patience import HANGS
from required import PORTS, require_server
from tasks import brokers
from tasks.queues import KEPT, LEASE, SOON_OVER, URLS, made, new_name, remove, started, take

pytestmark = pytest.mark.anyio
SERVERS = [kind for kind in URLS if kind != "memory"]
CLOCKS_DIFFER = 0.05  # seconds, between the server's and ours
ends_soon = pytest.mark.parametrize("lease", [SOON_OVER], ids=[""])


@pytest.fixture(params=URLS)
def url(request: pytest.FixtureRequest) -> str:
    return URLS[str(request.param)]


@pytest.fixture
def name() -> str:
    return new_name()


@pytest.fixture
def lease() -> float:
    return LEASE


@pytest.fixture
async def queue(url: str, name: str, lease: float) -> AsyncIterator[Queue]:
    require_server(url)
    async with started(url, name, lease=lease) as queue:
        yield queue
    await remove(url, name)


@pytest.fixture
async def another(url: str, name: str, queue: Queue, lease: float) -> AsyncIterator[Queue]:
    """The same queue, as another process has it."""
    async with started(url, name, lease=lease) as another:
        yield another


async def test_hands_out_in_order_and_what_is_done_is_gone(queue: Queue) -> None:
    for body in (b"1", b"2", b"3"):
        await queue.put(body)
    assert await queue.depth() == 3
    taken = await take(queue, 3)
    assert [delivery.data for delivery in taken] == [b"1", b"2", b"3"]
    assert [delivery.attempt for delivery in taken] == [1, 1, 1]
    for delivery in taken:
        await delivery.ack()
    assert await queue.depth() == 0
    with pytest.raises(TimeoutError):
        await take(queue, seconds=0.3)


async def test_any_bytes_come_as_they_went(queue: Queue) -> None:
    bodies = [b"", bytes(range(256)), b"x" * 200_000]
    for body in bodies:
        await queue.put(body)
    assert [delivery.data for delivery in await take(queue, 3)] == bodies


async def test_waits_for_what_comes(queue: Queue) -> None:
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(take(queue))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        await queue.put(b"late")
    assert waiting.result()[0].data == b"late"


async def test_a_delayed_message_comes_when_it_is_due(queue: Queue) -> None:
    await queue.put(b"later", delay=2 * HANGS)
    await queue.put(b"now")
    (now,) = await take(queue)
    await now.ack()
    assert now.data == b"now"
    with pytest.raises(TimeoutError):
        await take(queue, seconds=0.3)
    began = time.monotonic()
    await queue.put(b"soon", delay=1)
    assert (await take(queue))[0].data == b"soon"
    assert time.monotonic() - began > 1 - CLOCKS_DIFFER


async def test_a_longer_delay_does_not_hold_up_a_shorter_one(queue: Queue) -> None:
    await queue.put(b"long", delay=2 * HANGS)
    await queue.put(b"short", delay=0.5)
    assert (await take(queue))[0].data == b"short"


async def test_what_is_released_comes_again_and_is_counted(queue: Queue) -> None:
    await queue.put(b"1")
    (first,) = await take(queue)
    await first.release(0)
    (second,) = await take(queue)
    began = time.monotonic()
    await second.release(0.5)
    (third,) = await take(queue)
    assert time.monotonic() - began > 0.5 - CLOCKS_DIFFER
    assert [first.attempt, second.attempt, third.attempt] == [1, 2, 3]
    assert third.data == b"1"


async def test_the_first_word_is_the_last(queue: Queue) -> None:
    await queue.put(b"1")
    (delivery,) = await take(queue)
    await delivery.ack()
    await delivery.release(0)
    await delivery.bury("why")
    assert (await queue.depth(), await queue.buried()) == (0, [])


async def test_dead_letters_can_be_replayed(queue: Queue) -> None:
    for body in (b"1", b"2", b"3"):
        await queue.put(body)
    for delivery in await take(queue, 3):
        await delivery.bury(f"no {delivery.data.decode()}: é")
    letters = await queue.buried()
    assert [(letter.data, letter.reason) for letter in letters] == [
        (b"1", "no 1: é"),
        (b"2", "no 2: é"),
        (b"3", "no 3: é"),
    ]
    assert all(abs(time.time() - letter.at.timestamp()) < 600 for letter in letters)
    assert await queue.buried(limit=1) == letters[:1]
    assert await queue.buried() == letters  # looking takes nothing away
    assert await queue.replay([letters[1].id, "unheard-of"]) == 1
    (again,) = await take(queue)
    assert (again.data, again.attempt) == (b"2", 1)
    await again.ack()
    assert await queue.replay() == 2
    assert await queue.buried() == []
    assert sorted(delivery.data for delivery in await take(queue, 2)) == [b"1", b"3"]


async def test_no_more_are_held_than_may_be(url: str, name: str, queue: Queue) -> None:
    if url == "memory://":
        pytest.skip("fetches nothing ahead")
    async with started(url, name, prefetch=3) as narrow:
        for number in range(8):
            await queue.put(str(number).encode())
        async with contextlib.aclosing(narrow.listen()) as deliveries:
            held = [await anext(deliveries) for _ in range(3)]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.6):
                    await anext(deliveries)
        assert len(held) == 3


async def test_what_was_fetched_and_not_handed_out_goes_back_at_once(
    url: str, name: str, queue: Queue, request: pytest.FixtureRequest
) -> None:
    if url == "memory://":
        pytest.skip("fetches nothing ahead")
    for number in range(6):
        await queue.put(str(number).encode())
    (first,) = await take(queue)  # the others were fetched with it
    async with started(url, name) as another:
        rest = await take(another, 5)  # they were given back: no lease is over by then
        assert sorted(delivery.data for delivery in rest) == [b"1", b"2", b"3", b"4", b"5"]
        assert {delivery.attempt for delivery in rest} <= {1, 2}
        await first.ack()
        for delivery in rest:
            await delivery.ack()
    assert await queue.depth() == 0


async def test_whoever_waits_may_be_cancelled(queue: Queue) -> None:
    for _ in range(5):
        waiting = asyncio.create_task(take(queue))
        await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.wait([waiting])
    await queue.put(b"1")
    assert (await take(queue))[0].data == b"1"


@pytest.mark.parametrize("lease", [KEPT], ids=[""])
async def test_who_lives_keeps_a_message_for_as_long_as_it_takes(
    url: str, queue: Queue, another: Queue, lease: float
) -> None:
    if url == "memory://":
        pytest.skip("has one worker")
    await queue.put(b"slow")
    (slow,) = await take(queue)
    with pytest.raises(TimeoutError):
        await take(another, seconds=lease * 1.5)
    await slow.ack()
    with pytest.raises(TimeoutError):
        await take(another, seconds=0.3)


HOLDER = """
import asyncio, sys
from tasks.queues import started, take

async def main():
    async with started(sys.argv[1], sys.argv[2], lease=float(sys.argv[3])) as queue:
        async for delivery in queue.listen():
            print(delivery.data.decode(), flush=True)

asyncio.run(main())
"""


@ends_soon
async def test_what_a_killed_worker_held_comes_back_on_an_idle_queue(
    url: str, name: str, queue: Queue, lease: float
) -> None:
    if url == "memory://":
        pytest.skip("has one worker")
    for number in range(4):
        await queue.put(str(number).encode())
    command = (sys.executable, "-c", HOLDER, url, name, str(lease))
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = asyncio.subprocess.PIPE
    async with async_child(*command, env=environ, stdout=pipe) as holder, asyncio.timeout(HANGS):
        assert holder.stdout
        held = [(await holder.stdout.readline()).strip() for _ in range(4)]
        assert held == [b"0", b"1", b"2", b"3"]
    back = await take(queue, 4)
    assert sorted(delivery.data for delivery in back) == held
    assert {delivery.attempt for delivery in back} == {2}
    for delivery in back:
        await delivery.ack()
    assert await queue.depth() == 0


@pytest.mark.parametrize("kind", SERVERS)
async def test_a_server_that_is_away_is_a_connection_error(kind: str, name: str) -> None:
    url = {"redis": "redis://127.0.0.1:1/0", "amqp": "amqp://guest:guest@127.0.0.1:1/", "nats": "nats://127.0.0.1:1"}[
        kind
    ]
    queue = made(url, name)
    async with asyncio.timeout(HANGS):
        with contextlib.suppress(ConnectionError):
            await queue.startup()
        for ask in (queue.ping, queue.depth, queue.buried, queue.replay, lambda: queue.put(b"1")):
            with pytest.raises(ConnectionError):
                await ask()
        with pytest.raises(ConnectionError):
            await take(queue)
        await queue.shutdown()


@contextlib.asynccontextmanager
async def proxied(kind: str, name: str, *, lease: float = LEASE) -> AsyncIterator[tuple[FaultProxy, Queue]]:
    """A queue on a server behind a proxy that can take it away."""
    require_server(URLS[kind])
    place = urlsplit(URLS[kind])
    async with fault_proxy(str(place.hostname), place.port or PORTS[kind]) as proxy:
        credentials, at, _ = place.netloc.rpartition("@")
        url = urlunsplit(place._replace(netloc=f"{credentials}{at}127.0.0.1:{proxy.port}"))
        async with started(url, name, lease=lease) as queue:
            yield proxy, queue
    await remove(URLS[kind], name)


async def sent(queue: Queue, body: bytes) -> None:
    """Send, as often as it takes."""
    async with asyncio.timeout(HANGS):
        while True:
            with contextlib.suppress(ConnectionError):
                await queue.put(body)
                return
            await asyncio.sleep(0.05)


async def came(queue: Queue, bodies: set[bytes]) -> None:
    """Take until these came; what could not be sent may have come, too."""
    while bodies:
        [one] = await take(queue)
        bodies -= {one.data}
        await one.ack()


@pytest.mark.parametrize("kind", SERVERS)
async def test_it_comes_back_when_its_server_does(kind: str, name: str) -> None:
    async with proxied(kind, name) as (proxy, queue):
        await queue.put(b"before")
        await proxy.refuse()
        for asking in (queue.ping, queue.depth, partial(queue.put, b"meanwhile")):
            async with asyncio.timeout(HANGS):
                with pytest.raises(ConnectionError):
                    await asking()
        await proxy.heal()
        await sent(queue, b"after")
        await queue.ping()
        await came(queue, {b"before", b"after"})


@pytest.mark.parametrize("kind", SERVERS)
async def test_what_could_not_be_given_back_comes_back(kind: str, name: str) -> None:
    # It must not be renewed for what nobody works on.
    async with proxied(kind, name, lease=SOON_OVER) as (proxy, queue):
        await queue.put(b"before")
        [taken] = await take(queue)
        await proxy.refuse()
        await asyncio.sleep(0.2)
        with pytest.raises(ConnectionError):
            await taken.release(0)
        await proxy.heal()
        await sent(queue, b"after")
        await came(queue, {b"before", b"after"})


@pytest.mark.slow
@pytest.mark.parametrize("kind", SERVERS)
async def test_a_server_that_says_nothing_holds_nobody_up(kind: str, name: str) -> None:
    async with proxied(kind, name) as (proxy, queue):
        await queue.ping()
        proxy.swallow()
        for asking in (partial(queue.put, b"meanwhile"), queue.ping, queue.depth):
            async with asyncio.timeout(HANGS):
                with pytest.raises(ConnectionError):
                    await asking()
        await proxy.heal()
        await sent(queue, b"after")
        await came(queue, {b"after"})


@pytest.mark.slow
async def test_a_redis_that_is_full_keeps_what_it_has(name: str, tmp_path: Path) -> None:
    async with brokers.redis(tmp_path) as server, server.running(), started(server.url, name, lease=SOON_OVER) as queue:
        for body in (b"released", b"buried"):
            await queue.put(body)
        released, buried = await take(queue, 2)
        async with Redis.from_url(server.url) as redis:
            await redis.config_set("maxmemory", "1")
            sayings = partial(released.release, 0), partial(buried.bury, "why"), partial(queue.put, b"")
            for saying in sayings:
                with pytest.raises(ConnectionError):
                    await saying()
            await redis.config_set("maxmemory", "0")
        await buried.bury("why")  # still in hand
        assert [letter.data for letter in await queue.buried()] == [b"buried"]
        assert [one.data for one in await take(queue)] == [b"released"]
