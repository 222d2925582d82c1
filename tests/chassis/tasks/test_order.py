import time

import pytest

from chassis_tasks.memory_queue import MemoryQueue
from chassis_tasks.order import Order, UnreadableError, message_of, patience, read


@pytest.fixture
def queue() -> MemoryQueue:
    return MemoryQueue(url="memory://", name="under-test", prefetch=1, lease_seconds=1)


def sent(order: Order, queue: MemoryQueue) -> bytes:
    return queue.formatter.dumps(message_of(order)).message


@pytest.mark.parametrize(
    "order",
    [
        Order(id="1", task="a", arguments={}, sent_at=1.5),
        Order(
            id="2",
            task="b",
            arguments={"text": "ä\n\0", "number": 1e300, "none": None, "deep": [{"a": [True]}]},
            sent_at=1764000000.123456,
            attempt=7,
            due_at=1764000001.0,
            deadline=1764000002.5,
            key="key.12",
            key_seconds=3.0,
            request_id="abc",
            traceparent="00-1-2-01",
            tracestate="a=b",
        ),
    ],
    ids=["least", "all"],
)
def test_arrives_as_it_was_sent(order: Order, queue: MemoryQueue) -> None:
    assert read(sent(order, queue), queue) == order


def test_the_delay_is_the_queue_s(queue: MemoryQueue) -> None:
    order = Order(id="1", task="a", arguments={}, sent_at=time.time(), due_at=time.time() + 60)
    assert 59 < float(message_of(order).labels["delay"]) <= 60
    assert "delay" not in message_of(Order(id="1", task="a", arguments={}, sent_at=1)).labels


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"task_id": "1"}',
        b'{"task_id":"1","task_name":"a","labels":{"attempt":"x"},"args":[],"kwargs":{}}',
        b'{"task_id":"1","task_name":"a","labels":{},"args":[1],"kwargs":{}}',
        b'{"task_id":"1","task_name":"a","labels":{},"labels_types":{"x":99},"args":[],"kwargs":{}}'.replace(
            b'"labels":{}', b'"labels":{"x":"1"}'
        ),
        b"[" * 100_000,
    ],
    ids=range(9),
)
def test_what_is_none_of_ours_is_unreadable(data: bytes, queue: MemoryQueue) -> None:
    with pytest.raises(UnreadableError):
        read(data, queue)


def test_what_taskiq_sent_is_understood(queue: MemoryQueue) -> None:
    data = b'{"task_id":"1","task_name":"a","labels":{"x":"1"},"labels_types":{"x":2},"args":[],"kwargs":{"n":1}}'
    assert read(data, queue) == Order(id="1", task="a", arguments={"n": 1}, sent_at=0)


def test_patience_grows_up_to_a_minute() -> None:
    assert [patience(waited) for waited in (0, 0.5, 2, 30, 90, 1e9)] == [1, 1, 2, 30, 60, 60]
