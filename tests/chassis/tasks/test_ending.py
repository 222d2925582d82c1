"""What ran to its end is never done again, whatever cannot be recorded, counted, logged or told to the queue."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from chassis.telemetry import tracing
from chassis_tasks import Status, Tasks, ending, insisting
from chassis_tasks.memory_queue import MemoryQueue
from chassis_tasks.memory_store import MemoryStore
from chassis_tasks.order import Order
from chassis_tasks.queue import Delivery
from chassis_tasks.records import Records
from chassis_tasks.running import Cut, InHand
from tasks.bench import Runs, at_work, count, counted, errors, is_gone, raises, until
from tasks.results import failures, generated, unkeepable

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "RECORD_SECONDS", 0.3)
    monkeypatch.setattr(insisting, "PAUSE_SECONDS", 0.01)


def failing(part: Tasks) -> tuple[Any, list[int]]:
    """A task that fails and is tried once more, and the numbers of its attempts."""
    attempts: list[int] = []

    @part.task(retries=1)
    async def work() -> None:
        attempts.append(part.running.attempt)
        raise ValueError("no")

    return work, attempts


@pytest.mark.parametrize("kind", unkeepable())
async def test_a_result_that_cannot_be_kept(part: Tasks, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    runs = Runs(part, lambda: unkeepable()[kind], retries=3)
    async with at_work(part) as opened:
        await runs.sent()
        info = await runs.info()
        await until(lambda: is_gone(opened))
        assert await opened.queue.buried() == []
    assert (runs.count, info.status, info.result, info.attempt) == (1, Status.DONE, None, 1)
    assert str(info.error).startswith("Its result could not be recorded: ")
    assert count(opened, "work", "done_without_result") == 1
    [line] = errors(caplog)
    assert line.startswith("task work is done, but its result could not be recorded: ")
    [record] = [record for record in caplog.records if record.message == line]
    assert (record.__dict__["task_id"], record.__dict__["outcome"]) == (runs.one, "done_without_result")


async def test_whatever_it_returns_it_runs_once(part: Tasks) -> None:
    choice = random.Random(13)  # noqa: S311
    values = [generated(choice) for _ in range(200)]
    runs = dict.fromkeys(range(len(values)), 0)

    @part.task(retries=3)
    async def work(number: int) -> Any:
        runs[number] += 1
        return values[number]

    async with at_work(part) as opened:
        sent = [await work.enqueue(number) for number in runs]
        ended = [await part.wait(one.id, seconds=30) for one in sent]
        await until(lambda: is_gone(opened))
        assert await opened.queue.buried() == []
    assert {info.status for info in ended} == {Status.DONE}
    assert set(runs.values()) == {1}
    kept = count(opened, "work", "done")
    assert 0 < kept < len(values)
    assert kept + count(opened, "work", "done_without_result") == len(values)


@pytest.mark.parametrize("kind", failures())
async def test_whatever_it_raises_it_fails_once(part: Tasks, kind: str) -> None:
    runs = Runs(part, raises(failures()[kind]), retries=0)
    async with at_work(part) as opened:
        await runs.sent()
        info = await runs.info()
        await until(opened.queue.buried)
        assert await is_gone(opened)
        [letter] = await opened.queue.buried()
    assert (runs.count, info.status) == (1, Status.FAILED)
    assert info.error == letter.reason
    assert 0 < len(letter.reason) <= 500
    assert count(opened, "work", "failed") == 1


# Every fault of a store, at every word that is said to it once the function has ended.
STORE_FAULTS = [
    *(ConnectionError("away"), TimeoutError(), ValueError("too large"), RuntimeError("odd"), KeyError("x")),
    None,
]


def break_store(monkeypatch: pytest.MonkeyPatch, fault: Exception | None, methods: tuple[str, ...]) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        if fault:
            raise fault
        await asyncio.Event().wait()  # a black hole

    for method in methods:
        monkeypatch.setattr(MemoryStore, method, broken)


@pytest.mark.parametrize("fault", STORE_FAULTS, ids=repr)
@pytest.mark.parametrize("end", [lambda: "result", raises(ValueError("no"))], ids=["done", "failed"])
async def test_a_store_that_fails(
    part: Tasks,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: Exception | None,
    end: Callable[[], Any],
) -> None:
    def then_end() -> Any:
        break_store(monkeypatch, fault, ("get", "put", "add", "swap", "remove"))
        return end()

    runs = Runs(part, then_end, retries=0)
    async with at_work(part) as opened:
        await part.known["work"].using(key="one").enqueue()
        await until(lambda: counted(opened, "done_without_result", "failed"))
        await until(lambda: is_gone(opened))
        failed = bool(count(opened, "work", "failed"))
        assert len(await opened.queue.buried()) == failed
    assert runs.count == 1
    told = [line for line in errors(caplog) if "could not be recorded" in line]
    assert len(told) == 1
    assert "argument" not in told[0]


async def test_a_store_that_is_away_for_a_moment(part: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    put, troubles = MemoryStore.put, [ConnectionError()] * 5

    async def troubled(*args: Any, **kwargs: Any) -> None:
        if runs.count and troubles:
            raise troubles.pop()
        await put(*args, **kwargs)

    monkeypatch.setattr(MemoryStore, "put", troubled)
    runs = Runs(part, lambda: "result")
    async with at_work(part) as opened:
        await runs.sent()
        assert (await runs.info()).result == "result"
    assert (count(opened, "work", "done"), troubles) == (1, [])


async def test_a_key_that_cannot_be_freed(
    part: Tasks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    runs = Runs(part, lambda: break_store(monkeypatch, ConnectionError("away"), ("remove",)))
    async with at_work(part) as opened:
        await part.known["work"].using(key="one").enqueue()
        await until(lambda: is_gone(opened))
    assert (runs.count, count(opened, "work", "done")) == (1, 1)
    assert errors(caplog) == ["the key of task work is not free: ConnectionError: away"]


@pytest.mark.parametrize("where", ["ended", "duration"])
async def test_metrics_that_fail(part: Tasks, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    class Broken:
        def labels(self, *_: str) -> None:
            raise OSError("no space left for the metrics of this process")

    runs = Runs(part, lambda: "result")
    async with at_work(part) as opened:
        monkeypatch.setattr(opened.metrics, where, Broken())
        await runs.sent()
        assert (await runs.info()).result == "result"
        await until(lambda: is_gone(opened))
    assert runs.count == 1


@pytest.mark.parametrize("end", [lambda: "result", lambda: object(), raises(ValueError("no"))])
async def test_a_log_that_fails(part: Tasks, end: Callable[[], Any]) -> None:
    class Broken(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise RuntimeError("no log")

    runs = Runs(part, end, retries=0)
    loggers = [logging.getLogger(f"chassis_tasks.{name}") for name in ("attempt", "ending", "errors")]
    broken = Broken()
    async with at_work(part) as opened:
        for logger in loggers:
            logger.addFilter(broken)
        try:
            await runs.sent()
            await runs.info()
            await until(lambda: is_gone(opened))
        finally:
            for logger in loggers:
                logger.removeFilter(broken)
    assert runs.count == 1


@pytest.mark.parametrize("place", ["end_task", "record"])
async def test_a_tracer_that_fails(part: Tasks, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    class Tracer:
        def inject(self, headers: dict[str, str]) -> None: ...

        def begin_task(self, *_: Any) -> tuple[None, None]:
            return None, None

        def end_task(self, *_: Any) -> None: ...

        def record(self, error: Exception) -> None: ...

    monkeypatch.setattr(Tracer, place, lambda *_: 1 / 0)
    monkeypatch.setattr(tracing, "_active", Tracer())
    runs = Runs(part, raises(ValueError("no")), retries=0)
    async with at_work(part) as opened:
        await runs.sent()
        await until(opened.queue.buried)
        await until(lambda: is_gone(opened))
    assert runs.count == 1


async def test_a_retry_that_can_never_be_sent_lies_with_the_dead_letters(
    part: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(part, raises(ValueError("no")), retries=2)
    put = MemoryQueue.put

    async def broken(*args: Any, **options: Any) -> None:
        if runs.count:
            raise LookupError("no room")
        await put(*args, **options)

    monkeypatch.setattr(MemoryQueue, "put", broken)
    async with at_work(part) as opened:
        await runs.sent()
        info = await runs.info()
        await until(opened.queue.buried)
        [letter] = await opened.queue.buried()
        assert await is_gone(opened)
    words = "RuntimeError: ValueError: no. Its next attempt cannot be sent: LookupError: no room"
    assert (runs.count, letter.reason, info.error, info.status) == (1, words, words, Status.FAILED)
    assert (count(opened, "work", "failed"), count(opened, "work", "retried")) == (1, 0)


async def test_a_retry_that_cannot_be_sent_now_is_given_back(part: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its work is not done: the same attempt comes again."""
    monkeypatch.setattr("chassis_tasks.runner.TROUBLE_SECONDS", 0.01)
    work, attempts = failing(part)
    put, troubles = MemoryQueue.put, [ConnectionError("away")]

    async def troubled(*args: Any, **options: Any) -> None:
        if attempts and troubles:
            raise troubles.pop()
        await put(*args, **options)

    monkeypatch.setattr(MemoryQueue, "put", troubled)

    async with at_work(part) as opened:
        await work.enqueue()
        await until(opened.queue.buried)
    assert attempts == [1, 1, 2]


async def test_a_retry_is_sent_once_though_the_store_is_away(part: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    work, attempts = failing(part)
    waits = Records.waits

    async def troubled(*_: Any) -> None:
        monkeypatch.setattr(Records, "waits", waits)
        raise RuntimeError("odd")

    monkeypatch.setattr(Records, "waits", troubled)

    async with at_work(part) as opened:
        await work.enqueue()
        await until(opened.queue.buried)
        await until(lambda: is_gone(opened))
    assert attempts == [1, 2]


class Deaf:
    """A queue that does not hear some words of a worker, and hands out again what it did not hear of."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
        self.deaf_to = {*words}
        self.released = 0
        hand_out = MemoryQueue._hand_out

        def handed_out(queue: MemoryQueue, message: Any) -> Delivery:
            delivery = hand_out(queue, message)
            lease = delivery.release
            words = ("ack", "bury", "release")
            return replace(delivery, **{word: self._heard(word, getattr(delivery, word), lease) for word in words})

        monkeypatch.setattr(MemoryQueue, "_hand_out", handed_out)

    def _heard(self, word: str, said: Any, lease: Any) -> Any:
        async def heard(*args: Any) -> None:
            self.released += word == "release"
            if word not in self.deaf_to:
                await said(*args)
                return
            if word == "ack":  # nobody says more: the lease ends
                await lease(0.05)
            raise ConnectionError(f"deaf to {word}")

        return heard


async def test_what_cannot_be_acknowledged_is_not_run_again_here(
    part: Tasks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    deaf = Deaf(monkeypatch, "ack")
    # No record tells that it is done: the store is away, too.
    runs = Runs(part, lambda: break_store(monkeypatch, ConnectionError("away"), ("put",)))
    async with at_work(part) as opened:
        await runs.sent()
        await until(lambda: counted(opened, "skipped"))
        monkeypatch.undo()
        deaf.deaf_to.clear()
        assert (await runs.info()).status is Status.DONE  # recorded the second time
        await until(lambda: is_gone(opened))
    assert (runs.count, deaf.released) == (1, 0)
    assert "task work has ended and may come again: the queue cannot be told: ConnectionError: deaf to ack" in errors(
        caplog
    )


async def test_what_cannot_be_buried_is_not_run_again(
    part: Tasks, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    deaf = Deaf(monkeypatch, "bury")
    runs = Runs(part, raises(ValueError("no")), retries=0)
    async with at_work(part) as opened:
        await runs.sent()
        assert (await runs.info()).status is Status.FAILED
        await until(lambda: is_gone(opened))
    assert (runs.count, deaf.released) == (1, 0)
    assert "task work has failed and cannot be replayed: it is not buried: ConnectionError: deaf to bury" in errors(
        caplog
    )


async def test_what_the_queue_hears_nothing_of_is_buried_when_it_comes_again(
    part: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = Deaf(monkeypatch, "bury", "ack")
    runs = Runs(part, raises(ValueError("no")), retries=0)
    async with at_work(part) as opened:
        await runs.sent()
        await until(lambda: counted(opened, "skipped"))
        deaf.deaf_to.clear()
        await until(opened.queue.buried)
        await until(lambda: is_gone(opened))
        assert runs.count == 1
        await opened.queue.replay()  # and then it is run again
        await until(opened.queue.buried)
    assert runs.count == 2


async def test_so_many_are_remembered(part: Tasks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ending, "MOST_UNTOLD", 1)
    Deaf(monkeypatch, "ack")
    runs = Runs(part, lambda: None)
    async with at_work(part, tasks_concurrency=1, tasks_store_url="memory://") as opened:
        for _ in range(3):
            await runs.sent()

        async def all_skipped() -> bool:
            return count(opened, "work", "skipped") >= 6  # by their record, those that are not remembered

        await until(all_skipped)
        monkeypatch.undo()
    assert runs.count == 3


@pytest.fixture
def black_hole(part: Tasks, monkeypatch: pytest.MonkeyPatch) -> Iterator[Runs]:
    """A task at the end of which the store says nothing any more."""
    with monkeypatch.context() as patched:
        yield Runs(part, lambda: break_store(patched, None, ("get", "put", "add", "swap", "remove")))


async def test_a_stop_while_it_is_recorded(part: Tasks, black_hole: Runs, caplog: pytest.LogCaptureFixture) -> None:
    async with at_work(part, tasks_shutdown_seconds=0) as opened:
        await black_hole.sent()

        async def has_run() -> bool:
            return black_hole.count == 1

        await until(has_run)
    assert await is_gone(opened)
    assert (black_hole.count, count(opened, "work", "done_without_result")) == (1, 1)
    assert errors(caplog) == ["task work is done, but its result could not be recorded: no answer came in time"]


async def test_a_stop_has_no_say_about_what_has_just_ended() -> None:
    work = asyncio.create_task(asyncio.sleep(0))
    in_hand = InHand(Order(id="1", task="work", arguments={}), work)
    await work
    in_hand.cut_off(Cut.STOPPED)
    assert in_hand.cut is None


async def test_a_task_that_is_told_oddly_when_to_give_up(part: Tasks, caplog: pytest.LogCaptureFixture) -> None:
    runs = Runs(part, raises(ValueError("no")), retries=3, give_up_on=("ValueError",))
    async with at_work(part) as opened:
        await runs.sent()
        assert (await runs.info()).status is Status.FAILED
        await until(opened.queue.buried)
    assert runs.count == 1
    assert any(line.startswith("when to try again cannot be told: TypeError") for line in errors(caplog))
