"""What becomes of one message."""

import asyncio
import json
import logging
import time
from typing import Any

import pytest

from chassis.telemetry import context
from chassis_tasks import Status, Tasks
from chassis_tasks.opened import Opened
from chassis_tasks.order import Order
from chassis_tasks.records import TaskInfo
from patience import HANGS
from tasks.bench import at_work, count, until

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


async def ended(part: Tasks, one: str) -> TaskInfo:
    return await part.wait(one, seconds=HANGS)


async def reasons(opened: Opened) -> list[str]:
    return [letter.reason for letter in await opened.queue.buried()]


def order(task: str, **fields: Any) -> Order:
    return Order(**{"id": "1", "task": task, "arguments": {}, "sent_at": time.time(), **fields})


async def test_it_is_done(part: Tasks, caplog: pytest.LogCaptureFixture) -> None:
    @part.task
    async def add(a: int, b: int = 1) -> dict[str, int]:
        return {"sum": a + b}

    caplog.set_level(logging.INFO, "chassis_tasks")
    async with at_work(part) as opened:
        sent = await add.enqueue(1, b=2)
        info = await ended(part, sent.id)
    assert (info.status, info.result, info.attempt, info.error) == (Status.DONE, {"sum": 3}, 1, None)
    assert info.started_at is not None
    assert info.ended_at is not None
    assert info.queued_at <= info.started_at <= info.ended_at
    assert (count(opened, "add", "done"), opened.metrics.sent.labels("add")._value.get()) == (1, 1)
    (line,) = [record for record in caplog.records if record.message == "task add done"]
    assert (line.__dict__["task_id"], line.__dict__["attempt"]) == (sent.id, 1)
    assert line.__dict__["duration_ms"] >= 0


async def test_it_fails_is_tried_again_and_buried(part: Tasks, caplog: pytest.LogCaptureFixture) -> None:
    attempts = []

    @part.task(retries=2)
    async def fail() -> None:
        attempts.append(part.running.attempt)
        raise ValueError("no\nway")

    async with at_work(part) as opened:
        info = await ended(part, (await fail.enqueue()).id)
        await until(opened.queue.buried)
        assert await reasons(opened) == ["ValueError: no way"]
    assert attempts == [1, 2, 3]
    assert (info.status, info.attempt, info.error) == (Status.FAILED, 3, "ValueError: no way")
    assert (count(opened, "fail", "retried"), count(opened, "fail", "failed")) == (2, 1)
    levels = [record.levelname for record in caplog.records if record.exc_info]
    assert levels == ["WARNING", "WARNING", "ERROR"]


async def test_a_dead_letter_is_worked_on_again(part: Tasks) -> None:
    broken = [True]

    @part.task(retries=0)
    async def mend() -> str:
        if broken:
            raise OSError("broken")
        return "whole"

    async with at_work(part) as opened:
        one = (await mend.enqueue()).id
        await until(opened.queue.buried)
        broken.clear()
        await opened.queue.replay()
        await until(lambda: _is(part, one, Status.DONE))
        assert (await ended(part, one)).result == "whole"


async def _is(part: Tasks, one: str, status: Status) -> bool:
    info = await part.find(one)
    return info is not None and info.status is status


async def test_some_errors_are_not_worth_a_retry(part: Tasks) -> None:
    @part.task(give_up_on=(LookupError,))
    async def look() -> None:
        raise KeyError("gone")

    async with at_work(part) as opened:
        assert (await ended(part, (await look.enqueue()).id)).attempt == 1
    assert count(opened, "look", "failed") == 1


async def test_an_attempt_has_its_time(part: Tasks) -> None:
    @part.task(timeout=0.02, retries=1)
    async def hang() -> None:
        await asyncio.sleep(60)

    async with at_work(part):
        info = await ended(part, (await hang.enqueue()).id)
    assert (info.attempt, info.error) == (2, "TimeoutError: it was not done in time")


async def test_it_is_not_started_after_its_deadline(part: Tasks) -> None:
    @part.task(deadline=60)
    async def late() -> None:
        raise AssertionError("it was run")

    async with at_work(part) as opened:
        info = await ended(part, (await late.using(delay=0.05, deadline=0.01).enqueue()).id)
        assert await reasons(opened) == []
    assert info.status is Status.EXPIRED
    assert count(opened, "late", "expired") == 1


async def test_no_retry_comes_after_the_deadline(part: Tasks) -> None:
    @part.task(deadline=0.2, retries=100)
    async def fail() -> None:
        await asyncio.sleep(0.15)
        raise ValueError

    async with at_work(part, tasks_backoff_seconds=100, tasks_backoff_most_seconds=100):
        info = await ended(part, (await fail.enqueue()).id)
    assert (info.status, info.attempt) == (Status.FAILED, 1)


async def test_what_leaves_the_process_is_a_failure_of_the_task(part: Tasks) -> None:
    @part.task(retries=0)
    async def leave() -> None:
        raise SystemExit(1)

    @part.task
    async def stay() -> str:
        return "here"

    async with at_work(part):
        info = await ended(part, (await leave.enqueue()).id)
        assert info.status is Status.FAILED
        assert (await ended(part, (await stay.enqueue()).id)).result == "here"


async def test_it_reports_its_progress(part: Tasks) -> None:
    go_on = asyncio.Event()

    @part.task
    async def work() -> None:
        await part.running.report({"done": 1, "of": 2})
        await go_on.wait()

    async with at_work(part):
        one = (await work.enqueue()).id

        async def has_progress() -> Any:
            info = await part.find(one)
            return info and info.progress

        await until(has_progress)
        assert await has_progress() == {"done": 1, "of": 2}
        go_on.set()
        assert (await ended(part, one)).progress == {"done": 1, "of": 2}


async def test_a_queued_task_that_is_cancelled_never_runs(part: Tasks) -> None:
    @part.task
    async def work() -> None:
        raise AssertionError("it was run")

    async with at_work(part) as opened:
        one = (await work.using(delay=0.05).enqueue()).id
        info = await part.cancel(one)
        assert info is not None
        assert info.status is Status.CANCELLED

        async def is_skipped() -> bool:
            return count(opened, "work", "skipped") == 1

        await until(is_skipped)
        assert await part.cancel(one) == info
    assert await _nothing(part)


async def _nothing(part: Tasks) -> bool:
    async with at_work(part):
        return await part.cancel("unheard-of") is None and await part.find("unheard-of") is None


async def test_a_running_task_is_cancelled(part: Tasks) -> None:
    cleaned = []

    @part.task
    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.append(True)

    async with at_work(part) as opened:
        one = (await work.enqueue()).id
        await until(lambda: _is(part, one, Status.RUNNING))
        info = await part.cancel(one)
        assert info is not None
        assert info.is_cancelling
        assert (await ended(part, one)).status is Status.CANCELLED
        assert cleaned == [True]
        assert await reasons(opened) == []
    assert count(opened, "work", "cancelled") == 1


async def test_one_that_was_cancelled_while_its_worker_died_is_not_taken_up_again(part: Tasks) -> None:
    @part.task
    async def work() -> None:
        raise AssertionError("it was run")

    async with at_work(part) as opened:
        again = order("work", id="abc")
        records = opened.records("")
        await records.queued(again)
        assert await records.begun(again) == ""  # by a worker that is killed now
        await records.cancel("abc")
        await opened.put(again)
        assert (await ended(part, "abc")).status is Status.CANCELLED


async def test_one_of_which_every_worker_dies_is_buried(part: Tasks) -> None:
    @part.task
    async def work() -> None:
        raise AssertionError("it was run")

    async with at_work(part) as opened:
        deadly = order("work", id="deadly")
        records = opened.records("")
        await records.queued(deadly)
        for _ in range(20):
            assert await records.begun(deadly) == ""  # by a worker that is killed now
        await opened.put(deadly)
        assert (await ended(part, "deadly")).deaths == 20
        await until(opened.queue.buried)
        assert await reasons(opened) == ["20 workers have begun it, and none has come to an end."]


async def test_a_message_that_comes_twice_is_done_once(part: Tasks) -> None:
    runs = []

    @part.task
    async def work() -> None:
        runs.append(1)

    async with at_work(part) as opened:
        twice = order("work", id="twice")
        await opened.send(twice)
        await ended(part, "twice")
        await opened.put(twice)

        async def is_skipped() -> bool:
            return count(opened, "work", "skipped") == 1

        await until(is_skipped)
    assert runs == [1]


async def test_an_attempt_that_a_later_one_has_overtaken_is_not_run(part: Tasks) -> None:
    runs = []

    @part.task
    async def work() -> None:
        runs.append(part.running.attempt)
        await asyncio.sleep(0.1)

    async with at_work(part) as opened:
        first = order("work", id="one")
        await opened.send(first.again(0))  # the worker was killed between sending this and acknowledging the first
        await until(lambda: _is(part, "one", Status.RUNNING))
        await opened.put(first)
        await ended(part, "one")
    assert runs == [2]


async def test_an_unknown_task_waits_for_somebody_who_knows_it(part: Tasks) -> None:
    async with at_work(part) as opened:
        await opened.send(order("new"))

        async def is_put_off() -> bool:
            return count(opened, "unknown", "put_off") > 0

        await until(is_put_off)

        @part.task
        async def new() -> str:
            return "known now"

        assert (await ended(part, "1")).result == "known now"


async def test_an_unknown_task_is_buried_after_a_while(part: Tasks) -> None:
    async with at_work(part, tasks_unknown_seconds=10) as opened:
        await opened.send(order("new", sent_at=time.time() - 11))
        await until(opened.queue.buried)
        assert await reasons(opened) == ["There is no task 'new' here."]
        assert count(opened, "unknown", "buried") == 1
        assert (await ended(part, "1")).status is Status.FAILED


async def test_arguments_that_another_release_knows_are_a_reason_to_wait(part: Tasks) -> None:
    @part.task
    async def work(a: int) -> None: ...

    async with at_work(part, tasks_unknown_seconds=10) as opened:
        await opened.send(order("work", arguments={"a": 1, "secret": "s3cr3t"}, sent_at=time.time() - 11))
        await until(opened.queue.buried)
        (reason,) = await reasons(opened)
        assert "secret: Extra inputs are not permitted" in reason
        assert "s3cr3t" not in reason


@pytest.mark.parametrize("body", [b"", b"\xff", b'{"no": "task"}', b"null"])
async def test_what_cannot_be_read_is_buried(part: Tasks, body: bytes) -> None:
    async with at_work(part) as opened:
        await opened.queue.put(body)
        await until(opened.queue.buried)
        (letter,) = await opened.queue.buried()
        assert letter.data == body
        assert letter.reason.startswith("It cannot be read")


async def test_a_foreign_message_for_no_task_of_ours_is_buried_at_once(part: Tasks) -> None:
    body = json.dumps({"id": "1", "task": "theirs", "arguments": {}, "theirs": True}).encode()
    async with at_work(part) as opened:
        await opened.queue.put(body)
        await until(opened.queue.buried)


async def test_it_bears_the_ids_of_the_request(part: Tasks) -> None:
    seen = []

    @part.task
    async def work() -> None:
        seen.append(context.current.get())
        if part.running.attempt == 1:
            raise ValueError

    async with at_work(part):
        ids = context.new("request-1", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
        token = context.current.set(ids)
        one = (await work.enqueue()).id
        context.current.reset(token)
        await ended(part, one)
    for its in seen:
        assert its is not None
        assert (its.request_id, its.trace_id, its.parent_id) == ("request-1", ids.trace_id, ids.span_id)
    assert len(seen) == 2


async def test_it_sees_what_the_service_has_opened(part: Tasks) -> None:
    @part.task
    async def work() -> str:
        name: str = part.state.settings.name
        return name

    async with at_work(part):
        assert (await ended(part, (await work.enqueue()).id)).result == "under-test"
    with pytest.raises(LookupError, match="No task"):
        _ = part.running
