"""Who sends periodic tasks, and how often."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from chassis.process import lifecycle
from chassis_tasks import Tasks, scheduler
from chassis_tasks.memory_store import MemoryStore
from chassis_tasks.opened import Opened
from chassis_tasks.periods import tick
from chassis_tasks.scheduler import Scheduler
from tasks.bench import opened, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


class Clock:
    """Time as the scheduler sees it."""

    def __init__(self) -> None:
        self.now = 1_764_000_000.0  # a multiple of 60

    def time(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> object:
        import time

        return getattr(time, name)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(scheduler, "time", clock)
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", 0.005)
    monkeypatch.setattr(scheduler, "RENEW_SECONDS", 0.02)
    monkeypatch.setattr(scheduler, "LEASE_SECONDS", 0.2)
    monkeypatch.setattr(scheduler, "MARGIN_SECONDS", 0.05)
    return clock


@pytest.fixture
def periodic(part: Tasks) -> Tasks:
    @part.task(cron="*/5 * * * *")
    async def clean() -> None: ...

    return part


async def sends(given: Opened, number: int) -> None:
    """Wait for the tasks to be `number`, and a little longer for one too many."""

    async def are_there() -> bool:
        return await given.queue.depth() >= number

    await until(are_there)
    await asyncio.sleep(0.1)
    assert await given.queue.depth() == number


@contextlib.asynccontextmanager
async def scheduling(part: Tasks, given: Opened) -> AsyncIterator[Scheduler]:
    one = Scheduler(given, part)
    async with one.working():
        await asyncio.sleep(0.05)
        yield one


async def test_sends_once_a_tick(periodic: Tasks, clock: Clock) -> None:
    async with opened(periodic) as given, scheduling(periodic, given):
        await sends(given, 0)
        clock.now += 299
        await sends(given, 0)
        clock.now += 1
        await sends(given, 1)
        clock.now += 300
        await sends(given, 2)


async def test_of_two_one_is_active(periodic: Tasks, clock: Clock) -> None:
    async with opened(periodic) as given, scheduling(periodic, given), scheduling(periodic, given):
        for number in range(1, 5):
            clock.now += 300
            await sends(given, number)


async def test_the_other_takes_over_when_it_stops(periodic: Tasks, clock: Clock) -> None:
    async with opened(periodic) as given, contextlib.AsyncExitStack() as first:
        await first.enter_async_context(scheduling(periodic, given))
        async with scheduling(periodic, given):
            await first.aclose()
            clock.now += 300
            await sends(given, 1)
            assert given.metrics.schedules._value.get() == 1


async def test_the_other_takes_over_when_it_is_killed(periodic: Tasks, clock: Clock) -> None:
    async with opened(periodic) as given:
        assert given.store is not None
        await given.store.add(scheduler.LEASE, b"one that was killed", seconds=0.2)
        async with scheduling(periodic, given):
            assert given.metrics.schedules._value.get() == 0
            await asyncio.sleep(0.25)
            clock.now += 300
            await sends(given, 1)


async def test_what_was_missed_is_made_up_for_once(periodic: Tasks, clock: Clock) -> None:
    async with opened(periodic) as given:
        async with scheduling(periodic, given):
            clock.now += 300
            await sends(given, 1)
        clock.now += 86_400
        async with scheduling(periodic, given):
            await sends(given, 2)
            clock.now += 300
            await sends(given, 3)


async def test_one_without_its_lease_sends_nothing(periodic: Tasks, clock: Clock) -> None:
    async with opened(periodic) as given, scheduling(periodic, given):
        assert given.store is not None
        await given.store.put(scheduler.LEASE, b"another", seconds=60)  # it was stopped for long, and goes on
        await asyncio.sleep(0.3)
        clock.now += 300
        await sends(given, 0)


async def test_what_another_sent_meanwhile_is_not_sent_again(
    periodic: Tasks, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(periodic) as given, scheduling(periodic, given):
        assert given.store is not None
        clock.now += 300
        await sends(given, 1)
        await given.store.put(scheduler.LEASE, b"another", seconds=0.4)
        await asyncio.sleep(0.1)
        clock.now += 300
        due = tick(periodic.known["clean"].policy, clock.now)
        await given.store.put(scheduler._place("clean"), str(due).encode(), seconds=60)
        await asyncio.sleep(0.4)
        await sends(given, 1)
        clock.now += 300
        await sends(given, 2)


async def test_a_tick_whose_sender_was_killed_on_the_way_is_not_lost(
    periodic: Tasks, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "SENDING_SECONDS", 0.1)
    monkeypatch.setattr("chassis_tasks.records.SENDING_SECONDS", 0.1)
    put = Opened.put

    async def killed(self: Opened, order: object) -> None:
        await asyncio.sleep(60)

    async with opened(periodic) as given:
        async with scheduling(periodic, given):
            monkeypatch.setattr(Opened, "put", killed)
            monkeypatch.setattr("chassis_tasks.records.Records.forget", _nothing)
            clock.now += 300
            await asyncio.sleep(0.05)
        monkeypatch.setattr(Opened, "put", put)
        async with scheduling(periodic, given):
            await sends(given, 1)


async def _nothing(*given: object) -> None:
    """Of a process that is dead."""


async def test_it_goes_on_when_the_store_is_back(
    periodic: Tasks, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    swap = MemoryStore.swap

    async def troubled(*given: object, **options: object) -> bool:
        raise ConnectionError("nobody listens")

    async with opened(periodic) as given, scheduling(periodic, given):
        monkeypatch.setattr(MemoryStore, "swap", troubled)
        await asyncio.sleep(0.3)
        clock.now += 300
        await sends(given, 0)
        monkeypatch.setattr(MemoryStore, "swap", swap)
        await sends(given, 1)
    assert "the scheduler cannot do its work: ConnectionError" in caplog.text


async def test_seconds_too(part: Tasks, clock: Clock) -> None:
    @part.task(every=1.5)
    async def beat() -> None: ...

    assert [tick(beat.policy, now) for now in (0, 1.4, 1.5, 2.9, 3)] == [0, 0, 1, 1, 3]
    async with opened(part) as given, scheduling(part, given):
        for number in range(1, 4):
            clock.now += 1.5
            await sends(given, number)


class Deaf(MemoryStore):
    """Takes a cancellation for a time-out, as redis-py does while it connects, and asyncio.wait_for before 3.12."""

    cancelled = 0

    async def swap(self, key: str, old: bytes, new: bytes, *, seconds: float) -> bool:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled += 1
            if self.cancelled == 1:
                raise TimeoutError from None
            raise
        return False


async def test_ends_though_a_cancellation_is_swallowed(
    periodic: Tasks, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "CANCEL_SECONDS", 0.01)
    store = Deaf(url="memory://", name="test")
    async with opened(periodic) as given, asyncio.timeout(5), scheduling(periodic, replace(given, store=store)):
        pass
    assert store.cancelled == 2
