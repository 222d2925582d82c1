import time
from typing import Any

import anyio
import pytest

from chassis_tasks.memory_store import MemoryStore
from chassis_tasks.order import Order
from chassis_tasks.records import Records, Status, key_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(url="memory://", name="under-test")


@pytest.fixture
def records(store: MemoryStore) -> Records:
    return Records(store, keep=60)


def order(**fields: Any) -> Order:
    return Order(**{"id": "1", "task": "work", "arguments": {}, "sent_at": time.time(), **fields})


async def status(records: Records) -> Status | None:
    info = await records.find("1")
    return info.status if info else None


async def test_a_life(records: Records) -> None:
    one = order()
    assert await status(records) is None
    await records.queued(one)
    assert await status(records) is Status.QUEUED
    assert await records.begun(one) == ""
    assert await status(records) is Status.RUNNING
    await records.waits(one.again(1), "Error: first")
    info = await records.find("1")
    assert info is not None
    assert (info.status, info.attempt, info.error) == (Status.QUEUED, 2, "Error: first")
    assert await records.begun(one) == "a later attempt is under way"
    assert await records.begun(one.again(0)) == ""
    await records.done(one.again(0), info.queued_at, [1])
    info = await records.find("1")
    assert info is not None
    assert (info.status, info.attempt, info.error, info.result) == (Status.DONE, 2, None, [1])
    assert await records.begun(one.again(0)) == "it is done already"


async def test_one_without_a_record_is_begun(records: Records) -> None:
    assert await records.begun(order()) == ""
    assert await status(records) is Status.RUNNING


async def test_a_failed_one_may_begin_again(records: Records) -> None:
    await records.queued(order())
    await records.ended(order(), Status.FAILED, "why")
    assert await records.begun(order()) == ""


async def test_one_that_is_done_stays_so(records: Records) -> None:
    await records.queued(order())
    await records.begun(order())
    await records.done(order(), (await _info(records)).queued_at, None)
    await records.ended(order(), Status.FAILED, "too late")
    await records.waits(order(attempt=2), "too late")
    assert await records.cancel("1") == await _info(records)
    assert await status(records) is Status.DONE


async def _info(records: Records) -> Any:
    return await records.find("1")


async def test_a_failure_of_an_attempt_that_was_overtaken_says_nothing(records: Records) -> None:
    await records.queued(order())
    await records.begun(order(attempt=2))
    await records.ended(order(attempt=1), Status.FAILED, "old")
    assert await status(records) is Status.RUNNING


async def test_the_record_goes_when_its_time_is_over(store: MemoryStore) -> None:
    records = Records(store, keep=0.02)
    await records.queued(order())
    await records.done(order(), (await _info(records)).queued_at, None)
    await anyio.sleep(0.03)
    assert await status(records) is None


async def test_a_key_is_taken_once(records: Records) -> None:
    first, second = order(id="a", key=key_of("work", "k")), order(id="b", key=key_of("work", "k"))
    assert await records.take_key(first) is None
    assert await records.take_key(second) == "a"
    await records.hold_key(first)
    await records.free_key(second)  # which has none
    assert await records.take_key(second) == "a"
    await records.free_key(first)
    assert await records.take_key(second) is None


async def test_a_key_may_be_held_for_a_while(records: Records) -> None:
    first = order(id="a", key=key_of("work", "k"), key_seconds=0.05)
    assert await records.take_key(first) is None
    await records.free_key(first)
    second = order(id="b", key=first.key)
    assert await records.take_key(second) == "a"
    await anyio.sleep(0.06)
    assert await records.take_key(second) is None


async def test_a_task_that_runs_for_long_keeps_its_record_and_its_key(records: Records) -> None:
    one = order(key=key_of("work", "k"))
    await records.take_key(one)
    await records.queued(one)
    await records.hold_key(one)
    for _ in range(3):
        await anyio.sleep(3000)
        await records.renew(one)
    assert await status(records) is Status.QUEUED
    assert await records.take_key(order(id="2", key=one.key)) == "1"


async def test_a_task_that_was_cancelled_holds_its_key_no_more(records: Records) -> None:
    first, second = order(id="a", key=key_of("work", "k")), order(id="b", key=key_of("work", "k"))
    await records.take_key(first)
    await records.queued(first)
    await records.cancel("a")
    assert await records.take_key(second) is None


async def test_an_order_that_was_not_sent_leaves_nothing(records: Records, store: MemoryStore) -> None:
    one = order(key=key_of("work", "k"))
    await records.take_key(one)
    await records.queued(one)
    await records.forget(one)
    assert store._values == {}


def test_keys_are_the_task_s_own_and_fit_every_store() -> None:
    keys = {key_of("a", "k"), key_of("b", "k"), key_of("a", "K"), key_of("a", "ä\ud800" * 1000)}
    assert len(keys) == 4
    assert all(key.isascii() and len(key) < 60 for key in keys)


@pytest.mark.parametrize("one", ["x" * 1000, "a.b", "a b", "ä", "", "*", ">"])
async def test_any_text_may_be_looked_up(records: Records, one: str) -> None:
    assert await records.find(one) is None
    await records.queued(order(id=one))
    assert await records.find(one) is not None
