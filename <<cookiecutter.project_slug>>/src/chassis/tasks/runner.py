"""The runner: what becomes of one message, from the hand-out to its end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from .. import context, tracing
from . import order as orders
from .definition import Task
from .metrics import UNKNOWN
from .opened import Opened
from .order import Order, UnreadableError
from .queue import Delivery
from .records import DeadlyError, Status
from .running import Cut, InHand, Running, current

LONGEST_REASON = 500
TROUBLE_SECONDS = 5.0
"""How long a message is left alone that could not be worked on because the queue or the store did not answer."""

log = logging.getLogger(__name__)


class Runner:
    """Works on messages.

    :param tasks: what there is, by name.
    """

    def __init__(self, opened: Opened, tasks: Mapping[str, Task[Any, Any]]) -> None:
        self._opened = opened
        self._settings = opened.settings
        self._metrics = opened.metrics
        self._records = opened.records_if_kept
        self._tasks = tasks
        self.in_hand: set[InHand] = set()

    async def handle(self, delivery: Delivery) -> None:
        """Work on one message. Whatever happens, it is acknowledged, given back, buried, or left to its lease."""
        try:
            await self._handle(delivery)
        except (ConnectionError, TimeoutError) as error:
            log.warning("a task is given back: %s: %s", type(error).__name__, error)
            await _give_back(delivery)
        except Exception:
            log.exception("a task is given back, by a fault of the chassis")
            await _give_back(delivery)

    async def _handle(self, delivery: Delivery) -> None:
        try:
            order = orders.read(delivery.data, self._opened.queue)
        except UnreadableError as error:
            await self._bury_strange(delivery, f"It cannot be read: {error}")
            return
        context.current.set(context.new(order.request_id or None, order.traceparent or None))
        task = self._tasks.get(order.task)
        if task is None:
            await self._put_off(delivery, order, f"There is no task {order.task!r} here.")
            return
        try:
            arguments = task.unpacked(order.arguments)
        except ValidationError as error:
            await self._put_off(delivery, order, f"The arguments do not fit: {faults(error)}")
            return
        await self._work_on(delivery, order, task, arguments)

    async def _put_off(self, delivery: Delivery, order: Order, reason: str) -> None:
        # A rolling deploy: a newer worker will know it, or an older one.
        if order.sent_at and order.waited < self._settings.tasks_unknown_seconds:
            seconds = orders.patience(order.waited)
            log.warning("task %s is put off for %.0f s: %s", order.task, seconds, reason, extra={"task_id": order.id})
            self._metrics.ended.labels(self._label(order.task), "put_off").inc()
            await delivery.release(seconds)
            return
        await self._bury(delivery, reason, order)

    async def _bury(self, delivery: Delivery, reason: str, order: Order) -> None:
        if self._records:
            await self._records.ended(order, Status.FAILED, reason)
            await self._records.free_key(order)
        await self._bury_strange(delivery, reason, order)

    async def _bury_strange(self, delivery: Delivery, reason: str, order: Order | None = None) -> None:
        name = order.task if order else UNKNOWN
        log.error("a message is buried: %s", reason[:LONGEST_REASON], extra={"task_id": order.id} if order else {})
        self._metrics.ended.labels(self._label(name), "buried").inc()
        await delivery.bury(reason[:LONGEST_REASON])

    async def _work_on(
        self, delivery: Delivery, order: Order, task: Task[Any, Any], arguments: Mapping[str, Any]
    ) -> None:
        try:
            refusal = await self._records.begun(order) if self._records else ""
        except DeadlyError as error:
            await self._bury(delivery, str(error), order)
            return
        if refusal:
            log.info("task %s is not run: %s", order.task, refusal, extra={"task_id": order.id})
            await self._finish(delivery, order, "skipped")
            return
        if order.is_late:
            log.warning("task %s is not run: its deadline is over", order.task, extra={"task_id": order.id})
            if self._records:
                await self._records.ended(order, Status.EXPIRED, "Its deadline was over before it was started.")
            await self._finish(delivery, order, "expired")
            return
        attempt = _Attempt(self, order, task)
        self._metrics.wait.labels(order.task).observe(order.waited)
        with self._metrics.in_flight.track_inprogress(), tracing.worked_on(order.task, order.id, order.tracestate):
            try:
                await attempt.run(arguments)
            finally:
                attempt.tell()
            await self._settle(delivery, attempt)

    async def _settle(self, delivery: Delivery, attempt: _Attempt) -> None:
        order, records = attempt.order, self._records
        if attempt.cut is Cut.STOPPED:
            if records:
                await records.waits(order, "")
            await delivery.release(0)
        elif attempt.cut is Cut.CANCELLED:
            if records:
                await records.ended(order, Status.CANCELLED, "")
            await self._finish(delivery, order, "")
        elif attempt.error is None:
            if records:
                await records.done(order, attempt.started_at, attempt.result)
            await self._finish(delivery, order, "")
        elif (delay := attempt.retry_in) is not None:
            await self._send_again(delivery, order, delay, attempt.reason)
        else:
            if records:
                await records.ended(order, Status.FAILED, attempt.reason)
                await records.free_key(order)
            await delivery.bury(attempt.reason)

    async def _send_again(self, delivery: Delivery, order: Order, delay: float, reason: str) -> None:
        # In this order: whoever is killed in between leaves one message too many, never one too few.
        again = order.again(delay)
        await self._opened.kick(again)
        if self._records:
            await self._records.waits(again, reason)
        await delivery.ack()  # type: ignore[misc]

    async def _finish(self, delivery: Delivery, order: Order, outcome: str) -> None:
        if outcome:
            self._metrics.ended.labels(order.task, outcome).inc()
        if self._records:
            await self._records.free_key(order)
        await delivery.ack()  # type: ignore[misc]

    def _label(self, name: str) -> str:
        return name if name in self._tasks else UNKNOWN

    # What an attempt needs of it.

    async def report(self, one: str, progress: bytes) -> None:
        await self._opened.records("Progress").report(one, progress)

    def retry_in(self, order: Order, task: Task[Any, Any], error: Exception) -> float | None:
        """In how many seconds it is tried again; None for never."""
        retries = self._settings.tasks_retries if task.policy.retries is None else task.policy.retries
        if order.attempt > retries or isinstance(error, (*task.policy.give_up_on, UnpackableResultError)):
            return None
        longest = self._settings.tasks_backoff_seconds * 2.0 ** min(order.attempt - 1, 60)
        delay = random.uniform(0, min(longest, self._settings.tasks_backoff_most_seconds))  # noqa: S311
        return None if order.deadline is not None and time.time() + delay >= order.deadline else delay

    def seconds(self, task: Task[Any, Any]) -> float | None:
        """How long an attempt may take."""
        timeout = self._settings.tasks_timeout_seconds if task.policy.timeout is None else task.policy.timeout
        return timeout or None

    def count(self, name: str, outcome: str, seconds: float) -> None:
        self._metrics.ended.labels(name, outcome).inc()
        self._metrics.duration.labels(name).observe(seconds)


class UnpackableResultError(Exception):
    """What a task returned has no form in JSON. Trying again would not help."""


class _Attempt:
    """One call of a task's function."""

    def __init__(self, runner: Runner, order: Order, task: Task[Any, Any]) -> None:
        self._runner = runner
        self._task = task
        self._began = time.perf_counter()
        self.order = order
        self.started_at = datetime.now(UTC)
        self.result: Any = None
        self.error: Exception | None = None
        self.retry_in: float | None = None
        self.cut: Cut | None = None

    async def run(self, arguments: Mapping[str, Any]) -> None:
        """Call the function. Remembers what became of it; raises nothing."""
        # A task of its own: cancelling it must not cancel what has to be done afterwards.
        in_hand = InHand(self.order, asyncio.create_task(self._call(arguments), name=self.order.task))
        self._runner.in_hand.add(in_hand)
        try:
            await asyncio.wait([in_hand.work])
        finally:
            self._runner.in_hand.discard(in_hand)
        self._take(in_hand)

    def _take(self, in_hand: InHand) -> None:
        work = in_hand.work
        error = asyncio.CancelledError() if work.cancelled() else work.exception()
        if error is None:
            self.result = work.result()
        elif in_hand.cut:  # whatever it raised when it was cut off
            self.cut = in_hand.cut
        else:
            # A cancellation that was not ours is a failure of the task.
            self.error = error if isinstance(error, Exception) else RuntimeError(repr(error))
            self.retry_in = self._runner.retry_in(self.order, self._task, self.error)

    async def _call(self, arguments: Mapping[str, Any]) -> Any:
        order = self.order
        current.set(Running(order.id, order.task, order.attempt, order.deadline, self._runner.report))
        try:
            async with asyncio.timeout(self._runner.seconds(self._task)):
                result = await self._task.function(**arguments)
        except SystemExit as error:  # it would end the worker, and with it what else is under way
            raise RuntimeError(f"it called sys.exit: {error}") from error
        try:
            return self._task.packed_result(result)
        except ValueError as error:
            raise UnpackableResultError(f"its result cannot be kept as JSON: {error}") from error

    @property
    def reason(self) -> str:
        """What it failed with, in one line."""
        if isinstance(self.error, TimeoutError) and not str(self.error):
            return "TimeoutError: it was not done in time"
        return " ".join(f"{type(self.error).__name__}: {self.error}".split())[:LONGEST_REASON]

    @property
    def outcome(self) -> str:
        if self.cut:
            return {Cut.STOPPED: "handed_back", Cut.CANCELLED: "cancelled"}[self.cut]
        if self.error is None:
            return "done"
        return "failed" if self.retry_in is None else "retried"

    def tell(self) -> None:
        """Log and count how it ended."""
        seconds = time.perf_counter() - self._began
        self._runner.count(self.order.task, self.outcome, seconds)
        fields = {
            "task": self.order.task,
            "task_id": self.order.id,
            "attempt": self.order.attempt,
            "outcome": self.outcome,
            "duration_ms": round(seconds * 1000, 3),
        }
        if self.error is None:
            log.info("task %s %s", self.order.task, self.outcome, extra=fields)
            return
        tracing.record(self.error)
        if self.retry_in is not None:
            fields["retry_in_seconds"] = round(self.retry_in, 3)
        level = logging.ERROR if self.retry_in is None else logging.WARNING
        log.log(level, "task %s %s", self.order.task, self.outcome, extra=fields, exc_info=self.error)


async def _give_back(delivery: Delivery) -> None:
    with contextlib.suppress(ConnectionError, TimeoutError):  # then it comes back by its lease
        await delivery.release(TROUBLE_SECONDS)


def faults(error: ValidationError) -> str:
    """What does not fit, in one line, without the values."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:5])
