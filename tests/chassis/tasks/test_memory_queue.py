import anyio
import pytest

from chassis_tasks import memory_queue
from chassis_tasks.memory_queue import MemoryQueue
from chassis_tasks.queue import Delivery

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue(url="memory://", name="under-test", prefetch=10, lease_seconds=30)


async def take(queue: MemoryQueue, seconds: float = 1) -> Delivery:
    with anyio.fail_after(seconds):
        return await anext(queue.listen())


async def test_hands_out_in_order(queue: MemoryQueue) -> None:
    for body in (b"1", b"2", b"3"):
        await queue.put(body)
    assert await queue.depth() == 3
    assert [(await take(queue)).data for _ in range(3)] == [b"1", b"2", b"3"]


async def test_waits_for_what_comes(queue: MemoryQueue) -> None:
    async with anyio.create_task_group() as group:

        async def later() -> None:
            await anyio.sleep(0.02)
            await queue.put(b"late")

        group.start_soon(later)
        assert (await take(queue)).data == b"late"


async def test_a_delayed_message_comes_when_it_is_due(queue: MemoryQueue) -> None:
    await queue.put(b"later", delay=0.1)
    await queue.put(b"now")
    assert await queue.depth() == 1
    assert (await take(queue)).data == b"now"
    with pytest.raises(TimeoutError):
        await take(queue, 0.05)
    assert (await take(queue)).data == b"later"


async def test_what_is_released_comes_again_and_is_counted(queue: MemoryQueue) -> None:
    await queue.put(b"1")
    first = await take(queue)
    await first.release(0.02)
    second = await take(queue)
    assert (first.attempt, second.attempt) == (1, 2)


async def test_the_first_word_is_the_last(queue: MemoryQueue) -> None:
    await queue.put(b"1")
    delivery = await take(queue)
    await delivery.ack()
    await delivery.release(0)
    await delivery.bury("why")
    assert (await queue.depth(), await queue.buried(), queue.left()) == (0, [], 0)


async def test_dead_letters_can_be_replayed(queue: MemoryQueue) -> None:
    for body in (b"1", b"2", b"3"):
        await queue.put(body)
        await (await take(queue)).bury(f"no {body.decode()}")
    letters = await queue.buried()
    assert [(letter.data, letter.reason) for letter in letters] == [(b"1", "no 1"), (b"2", "no 2"), (b"3", "no 3")]
    assert await queue.buried(limit=1) == letters[:1]
    assert await queue.replay([letters[1].id, "unheard of"]) == 1
    assert (await take(queue)).data == b"2"
    assert await queue.replay() == 2
    assert await queue.buried() == []


async def test_it_takes_no_more_than_fits(queue: MemoryQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_queue, "MOST", 2)
    await queue.put(b"1")
    await queue.put(b"2", delay=60)
    with pytest.raises(ConnectionError, match="no more fit"):
        await queue.put(b"3")
