"""The runner: what becomes of one message, from the hand-out to its end."""

from __future__ import annotations

import contextlib
import logging
import random
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from pydantic import ValidationError

from chassis.telemetry import context, tracing

from . import order as orders
from .attempt import Attempt, Limits
from .definition import Task
from .ending import Endings
from .errors import TooLargeError, cannot_raise, faults, in_one_line, words_of
from .metrics import UNKNOWN
from .opened import Opened
from .order import Order, UnreadableError
from .queue import Delivery
from .records import DeadlyError, Status
from .running import Cut, InHand

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
        self._endings = Endings(opened)
        self._tasks = tasks
        self.in_hand: set[InHand] = set()

    async def handle(self, delivery: Delivery) -> None:
        """Work on one message. Whatever happens, it is acknowledged, given back, buried, or left to its lease.

        It is given back only if there is something to do yet: not once the task ran to its end.
        """
        try:
            await self._handle(delivery)
        except (ConnectionError, TimeoutError) as error:
            log.warning("a task is given back: %s", words_of(error))
            await _give_back(delivery)
        except Exception:
            log.exception("a task is given back, by a fault of the chassis")
            await _give_back(delivery)

    async def _handle(self, delivery: Delivery) -> None:
        try:
            order = orders.read(delivery.data)
        except UnreadableError as error:
            await self._bury_strange(delivery, f"It cannot be read: {error}")
            return
        context.current.set(context.new(order.request_id or None, order.traceparent or None))
        if await self._endings.is_over(delivery, order):
            return
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
            await self._records.ended(order, Status.FAILED, in_one_line(reason))
            await self._records.free_key(order)
        await self._bury_strange(delivery, reason, order)

    async def _bury_strange(self, delivery: Delivery, reason: str, order: Order | None = None) -> None:
        name, reason = order.task if order else UNKNOWN, in_one_line(reason)
        log.error("a message is buried: %s", reason, extra={"task_id": order.id} if order else {})
        self._metrics.ended.labels(self._label(name), "buried").inc()
        await delivery.bury(reason)

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
        attempt = Attempt(order, task, Limits(self._seconds(task), partial(self._retry_in, order, task)))
        self._metrics.wait.labels(order.task).observe(order.waited)
        with self._seen(order):
            await attempt.run(arguments, self.in_hand, self._report)
            await self._settle(delivery, attempt)

    @contextlib.contextmanager
    def _seen(self, order: Order) -> Iterator[None]:
        """Inside, it is counted as in flight, and its span is the current one."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._metrics.in_flight.track_inprogress())
            stack.enter_context(tracing.worked_on(order.task, order.id, order.tracestate))
            try:
                yield
            finally:  # it may be over by now, and must not be given back
                with cannot_raise("the end of an attempt was not seen"):
                    stack.close()

    async def _settle(self, delivery: Delivery, attempt: Attempt) -> None:
        if attempt.is_over:
            await self._endings.end(delivery, attempt)
        elif attempt.cut is Cut.STOPPED:
            attempt.tell(self._metrics)
            if self._records:
                await self._records.waits(attempt.order, "")
            await delivery.release(0)
        else:
            await self._try_again(delivery, attempt)

    async def _try_again(self, delivery: Delivery, attempt: Attempt) -> None:
        # In this order: whoever is killed in between leaves one message too many, never one too few.
        again = attempt.order.again(attempt.retry_in or 0)
        try:
            await self._opened.put(again)
        except Exception as error:
            await self._give_up(delivery, attempt, error)
            return
        attempt.tell(self._metrics)
        if self._records:
            await self._endings.note(partial(self._records.waits, again, attempt.reason), again)
        await self._endings.tell_queue(delivery, attempt)

    async def _give_up(self, delivery: Delivery, attempt: Attempt, error: Exception) -> None:
        """The next attempt could not be sent. There is something to do yet, so this one is given back, or buried."""
        if isinstance(error, (ConnectionError, TimeoutError)) and not isinstance(error, TooLargeError):
            attempt.tell(self._metrics)
            raise error
        attempt.give_up(f"Its next attempt cannot be sent: {words_of(error)}")
        attempt.tell(self._metrics)
        if self._records:
            await self._records.ended(attempt.order, Status.FAILED, attempt.reason)
            await self._records.free_key(attempt.order)
        await delivery.bury(attempt.reason)

    async def _finish(self, delivery: Delivery, order: Order, outcome: str) -> None:
        self._metrics.ended.labels(order.task, outcome).inc()
        await self._endings.free_key(order)
        await delivery.ack()

    def _label(self, name: str) -> str:
        return name if name in self._tasks else UNKNOWN

    async def _report(self, one: str, progress: bytes) -> None:
        await self._opened.records("Progress").report(one, progress)

    def _retry_in(self, order: Order, task: Task[Any, Any], error: Exception) -> float | None:
        retries = self._settings.tasks_retries if task.policy.retries is None else task.policy.retries
        if order.attempt > retries or isinstance(error, (*task.policy.give_up_on,)):
            return None
        longest = self._settings.tasks_backoff_seconds * 2.0 ** min(order.attempt - 1, 60)
        delay = random.uniform(0, min(longest, self._settings.tasks_backoff_most_seconds))  # noqa: S311
        return None if order.deadline is not None and time.time() + delay >= order.deadline else delay

    def _seconds(self, task: Task[Any, Any]) -> float | None:
        timeout = self._settings.tasks_timeout_seconds if task.policy.timeout is None else task.policy.timeout
        return timeout or None


async def _give_back(delivery: Delivery) -> None:
    with cannot_raise("a task comes back when its lease is over"), contextlib.suppress(ConnectionError, TimeoutError):
        await delivery.release(TROUBLE_SECONDS)
