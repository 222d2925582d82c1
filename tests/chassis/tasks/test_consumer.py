"""What is taken from the queue, when, and what becomes of it at the end."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import pytest

from chassis_tasks import Status, Tasks, consumer
from chassis_tasks.consumer import Consumer
from chassis_tasks.memory_queue import MemoryQueue
from chassis_tasks.opened import Opened
from chassis_tasks.queue import Delivery
from chassis_tasks.runner import Runner
from patience import HANGS
from tasks.bench import at_work, count, opened, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


@pytest.fixture
def gauge(part: Tasks) -> list[int]:
    """How many tasks `wait` ran at a time, one number each time that one more did."""
    seen, now = [], 0

    @part.task
    async def wait(seconds: float) -> None:
        nonlocal now
        now += 1
        seen.append(now)
        try:
            await asyncio.sleep(seconds)
        finally:
            now -= 1

    return seen


async def test_works_on_so_many_at_a_time(part: Tasks, gauge: list[int]) -> None:
    async with at_work(part, tasks_concurrency=3) as given:
        for _ in range(10):
            await part.known["wait"].enqueue(0.02)

        async def all_done() -> bool:
            return count(given, "wait", "done") == 10

        await until(all_done)
    assert max(gauge) == 3


async def test_the_end_works_off_what_lies_in_memory(part: Tasks, gauge: list[int]) -> None:
    async with at_work(part, tasks_concurrency=2) as given:
        for _ in range(20):
            await part.known["wait"].enqueue(0.005)
    assert count(given, "wait", "done") == 20


async def test_the_end_has_its_time_and_tells_what_is_lost(
    part: Tasks, gauge: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    async with at_work(part, tasks_concurrency=1, tasks_shutdown_seconds=0.1) as given:
        one = (await part.known["wait"].enqueue(60)).id
        await part.known["wait"].enqueue(60)
        await part.known["wait"].using(delay=60).enqueue(0)
        await until(lambda: _runs(part, one))
    assert count(given, "wait", "handed_back") == 1
    (said,) = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert said.startswith("3 tasks are lost")


async def _runs(part: Tasks, one: str) -> bool:
    info = await part.find(one)
    return info is not None and info.status is Status.RUNNING


async def test_a_task_that_does_not_end_does_not_hold_the_end_up(
    part: Tasks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(consumer, "END_SECONDS", 0.05)
    go_on = asyncio.Event()

    @part.task
    async def stubborn() -> None:
        while not go_on.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await go_on.wait()

    async with at_work(part, tasks_shutdown_seconds=0.05):
        one = (await stubborn.enqueue()).id
        await until(lambda: _runs(part, one))
    assert "1 tasks do not end" in caplog.text
    go_on.set()
    await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def working(part: Tasks, given: Opened, well: list[bool]) -> AsyncIterator[None]:
    async def is_well() -> bool:
        return bool(well)

    async with Consumer(given, Runner(given, part.known), is_healthy=is_well).working():
        yield


async def test_takes_nothing_while_it_is_not_well(
    part: Tasks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(consumer, "LOOK_SECONDS", 0.01)

    @part.task
    async def work() -> None: ...

    async def done() -> bool:
        return count(given, "work", "done") == 1

    well: list[bool] = []
    async with opened(part) as given, working(part, given, well):
        await work.enqueue()
        await asyncio.sleep(0.1)
        assert await given.queue.depth() == 1
        well.append(True)
        await until(done)
        well.clear()
        await asyncio.sleep(0.1)
        await work.enqueue()
        await asyncio.sleep(0.1)
        assert await given.queue.depth() == 1
        well.append(True)
    assert "this process is not ready" in caplog.text
    assert count(given, "work", "done") == 2


async def test_goes_on_when_the_queue_is_back(
    part: Tasks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(consumer, "LOOK_SECONDS", 0.01)
    troubles: list[Exception] = [ValueError("a fault"), ConnectionError("nobody listens")]
    listen = MemoryQueue.listen

    async def troubled(queue: MemoryQueue) -> AsyncIterator[Delivery]:
        if troubles:
            raise troubles.pop()
        async with contextlib.aclosing(listen(queue)) as deliveries:
            async for delivery in deliveries:
                yield delivery

    monkeypatch.setattr(MemoryQueue, "listen", troubled)

    @part.task
    async def work() -> str:
        return "done"

    async with at_work(part, tasks_concurrency=1):  # which no trouble takes away
        info = await part.wait((await work.enqueue()).id, seconds=HANGS)
    assert info.result == "done"
    assert "nobody listens" in caplog.text
    assert "a fault of the chassis" in caplog.text


async def test_counts_what_waits(part: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "COUNT_SECONDS", 0.01)

    @part.task(retries=0)
    async def fail() -> None:
        raise ValueError

    @part.task
    async def wait() -> None:
        await go_on.wait()

    go_on = asyncio.Event()
    async with at_work(part, tasks_concurrency=1) as given:
        await fail.enqueue()
        for _ in range(3):
            await wait.enqueue()

        async def counted() -> bool:
            metrics = given.metrics
            return (metrics.depth._value.get(), metrics.buried._value.get(), metrics.in_flight._value.get()) == (
                2,
                1,
                1,
            )

        await until(counted)
        go_on.set()
