import json
import math
import time
from typing import Any

import pytest

from chassis_tasks.order import Order, UnreadableError, patience, read


@pytest.mark.parametrize(
    "order",
    [
        Order(id="1", task="a", arguments={}, sent_at=1.5),
        Order(
            id="2",
            task="b",
            arguments={
                "text": "ä\n\0",
                "number": 1e300,
                "large": 2**80,
                "all": math.inf,
                "half": "\ud800",
                "none": None,
                "deep": [{"a": [True]}],
            },
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
def test_arrives_as_it_was_sent(order: Order) -> None:
    assert read(order.packed()) == order


def test_what_is_at_its_default_is_left_out() -> None:
    sent: dict[str, Any] = {"id": "1", "task": "a", "arguments": {"n": 1}, "sent_at": 1.5}
    assert json.loads(Order(**sent).packed()) == sent


def test_what_a_later_release_adds_is_passed_over() -> None:
    data = b'{"id":"1","task":"a","arguments":{"n":1},"added":{"x":[1]}}'
    assert read(data) == Order(id="1", task="a", arguments={"n": 1}, sent_at=0)


def test_the_next_attempt_waits_for_its_time() -> None:
    again = Order(id="1", task="a", arguments={}, sent_at=1, attempt=2, due_at=5).again(60)
    assert again.attempt == 3
    assert 59 < again.delay <= 60


def test_the_delay_is_what_is_left_of_it() -> None:
    order = Order(id="1", task="a", arguments={}, sent_at=time.time(), due_at=time.time() + 60)
    assert 59 < order.delay <= 60
    assert Order(id="1", task="a", arguments={}, sent_at=1).delay == 0


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"id": "1"}',
        b'{"id":"1","task":"a","arguments":{},"attempt":"x"}',
        b'{"id":"1","task":"a","arguments":[1]}',
        b'{"id":1,"task":"a","arguments":{}}',
        b'{"id":"1","task":"a","arguments":{"n":' + b"1" * 5000 + b"}}",
        b"[" * 100_000,
    ],
    ids=range(10),
)
def test_what_is_none_of_ours_is_unreadable(data: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(data)


def test_patience_grows_up_to_a_minute() -> None:
    assert [patience(waited) for waited in (0, 0.5, 2, 30, 90, 1e9)] == [1, 1, 2, 30, 60, 60]
