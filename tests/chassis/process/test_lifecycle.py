import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chassis.failures import CloseError, StartError
from chassis.part import Resource
from chassis.process import lifecycle
from chassis.process.lifecycle import Background, ended, opened

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


def resource(name: str, events: list[str], *, hangs_at: str = "", fails_at: str = "") -> Resource:
    async def happens(what: str) -> None:
        if what == hangs_at:
            await asyncio.sleep(60)
        if what == fails_at:
            raise ConnectionRefusedError(f"{what}: nobody listens")
        events.append(f"{what} {name}")

    @contextlib.asynccontextmanager
    async def manager(settings: Any) -> AsyncIterator[str]:
        await happens("open")
        yield f"{name} for {settings}"
        await happens("close")

    return manager


async def test_opened_in_order_and_closed_in_reverse() -> None:
    events: list[str] = []
    async with opened({name: resource(name, events) for name in "abc"}, "s", seconds=1) as given:
        events.append(str(given))
    assert events == [
        *("open a", "open b", "open c"),
        "{'a': 'a for s', 'b': 'b for s', 'c': 'c for s'}",
        *("close c", "close b", "close a"),
    ]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"hangs_at": "open"}, "no answer in 0.05 s"),
        ({"fails_at": "open"}, "ConnectionRefusedError: open: nobody listens"),
    ],
)
async def test_one_that_cannot_be_opened_is_named_and_the_others_are_closed(wrong: Any, reason: str) -> None:
    events: list[str] = []
    resources = {"pool": resource("pool", events), "queue": resource("queue", events, **wrong)}
    with pytest.raises(StartError) as raised:
        async with opened(resources, None, seconds=0.05):
            raise AssertionError("must not be reached")
    assert str(raised.value) == f"Cannot start: the resource 'queue' could not be opened: {reason}"
    assert events == ["open pool", "close pool"]


@pytest.mark.parametrize("wrong", [{"hangs_at": "close"}, {"fails_at": "close"}])
async def test_one_that_does_not_close_is_named_and_the_others_are_closed(
    wrong: Any, caplog: pytest.LogCaptureFixture
) -> None:
    events: list[str] = []
    resources = {"pool": resource("pool", events), "queue": resource("queue", events, **wrong)}
    with pytest.raises(CloseError, match="queue"):
        async with opened(resources, None, seconds=0.05):
            pass
    assert events[-1] == "close pool"
    assert len(caplog.messages) == 1
    assert "queue" in caplog.text


async def test_background_work_is_awaited_with_what_it_starts() -> None:
    background = Background()
    done: list[str] = []

    async def second() -> None:
        await asyncio.sleep(0.01)
        done.append("second")

    async def first() -> None:
        await asyncio.sleep(0.01)
        background.spawn(second())
        done.append("first")

    background.spawn(first())
    await background.finish(1)
    assert done == ["first", "second"]


async def test_background_work_that_does_not_end_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    background = Background()
    task = background.spawn(asyncio.sleep(60))
    with pytest.raises(CloseError):
        await background.finish(0.02)
    assert task.cancelled()
    assert caplog.messages == ["background work was cancelled: 1 not done in 0.02 s"]


async def test_an_error_in_background_work_is_logged_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    background = Background()

    async def wrong() -> None:
        raise ValueError("no")

    background.spawn(wrong())
    await background.finish(1)
    assert "ValueError: no" in caplog.text


async def test_nothing_starts_after_the_end() -> None:
    background = Background()
    await background.finish(1)
    with pytest.raises(RuntimeError, match="is ending"):
        background.spawn(asyncio.sleep(0))


async def test_what_is_ended_is_cancelled_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifecycle, "CANCEL_SECONDS", 0.01)
    cancelled = 0

    async def deaf() -> None:
        nonlocal cancelled
        while cancelled < 3:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled += 1

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await ended(task)
    assert task.done()
    assert cancelled == 3


async def test_what_failed_before_it_was_ended_raises_nothing() -> None:
    async def failing() -> None:
        raise ValueError("no")

    task = asyncio.create_task(failing())
    await asyncio.wait([task])
    await ended(task)
    assert isinstance(task.exception(), ValueError)
