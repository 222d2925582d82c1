"""What is done once a task ran to its end: recorded, counted, and told to the queue. It is never given back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from .attempt import Attempt
from .errors import cannot_raise, words_of
from .insisting import insisting
from .opened import Opened
from .order import Order
from .queue import Delivery
from .records import Records, Status

RECORD_SECONDS = 3.0
"""How long recording how a task ended may take, tries included; a worker that stops waits longer than that."""
MOST_UNTOLD = 100
"""Of how many tasks a process remembers that the queue could not be told of their end."""

log = logging.getLogger(__name__)


class Endings:
    """Ends what ran to its end. Whatever store and queue do, it raises nothing and takes a limited time."""

    def __init__(self, opened: Opened) -> None:
        self._metrics = opened.metrics
        self._records = opened.records_if_kept
        self._lease_seconds = opened.settings.tasks_lease_seconds
        self._untold: dict[tuple[str, int], Attempt] = {}

    async def end(self, delivery: Delivery, attempt: Attempt) -> None:
        """Record `attempt`, which is over, count it, and tell the queue."""
        await self._record(attempt)
        attempt.tell(self._metrics)
        await self.tell_queue(delivery, attempt)

    async def is_over(self, delivery: Delivery, order: Order) -> bool:
        """Whether `order` ran to its end in this process before, and the queue could not be told. Now it is."""
        attempt = self._untold.pop((order.id, order.attempt), None)
        if attempt is None:
            return False
        log.info("task %s is not run: it has ended here before", order.task, extra={"task_id": order.id})
        with cannot_raise("a task that was not run again was not counted"):
            self._metrics.ended.labels(order.task, "skipped").inc()
        if attempt.unrecorded:
            await self._record(attempt)
        await self.tell_queue(delivery, attempt)
        return True

    async def free_key(self, order: Order) -> None:
        """Give the key of a task that has ended back."""
        await self._free_key(order, time.monotonic() + RECORD_SECONDS)

    async def note(self, what: Callable[[], Awaitable[None]], order: Order) -> None:
        """Note something of a task whose message is of no more use, if the store takes it."""
        until = time.monotonic() + RECORD_SECONDS
        if why := await _limited(partial(insisting, what, RECORD_SECONDS), until):
            log.error("where task %s stands was not recorded: %s", order.task, why, extra={"task_id": order.id})

    async def tell_queue(self, delivery: Delivery, attempt: Attempt) -> None:
        """Bury the message of what failed for good, acknowledge that of all else."""
        unburied = ""
        if attempt.has_failed:
            unburied = await _limited(partial(delivery.bury, attempt.reason), self._queue_until)
            if not unburied:
                return
        # Without its dead letter it cannot be replayed. But given back it would fail again, for ever.
        why = await _limited(delivery.ack, self._queue_until)
        if why:
            self._remember(attempt)
        if why or unburied:
            with cannot_raise("what became of a message was not logged"):
                _tell(attempt, why, unburied)

    async def _record(self, attempt: Attempt) -> None:
        if self._records:
            until = time.monotonic() + RECORD_SECONDS
            attempt.unrecorded = await _limited(partial(_noted, self._records, attempt, RECORD_SECONDS), until)
            await self._free_key(attempt.order, until)

    async def _free_key(self, order: Order, until: float) -> None:
        if self._records and order.key:
            free = partial(self._records.free_key, order)
            if why := await _limited(partial(insisting, free, until - time.monotonic()), until):
                log.error("the key of task %s is not free: %s", order.task, why, extra={"task_id": order.id})

    def _remember(self, attempt: Attempt) -> None:
        while len(self._untold) >= MOST_UNTOLD:
            del self._untold[next(iter(self._untold))]
        if not attempt.unrecorded:
            attempt.result = None
        self._untold[attempt.order.id, attempt.order.attempt] = attempt

    @property
    def _queue_until(self) -> float:
        # After that others have the message, if the queue cannot be reached.
        return time.monotonic() + self._lease_seconds


async def _limited(work: Callable[[], Any], until: float) -> str:
    """Do `work` until then, at most. Returns "" or, if it is not done, why."""
    # Who is cancelled by it may take that for something else: what is repeated has an end of its own.
    limit = asyncio.timeout(until - time.monotonic())
    try:
        async with limit:
            await work()
    except asyncio.CancelledError as error:
        if _is_cancelled():
            raise
        return words_of(error)  # by the server's library, that is
    except Exception as error:
        return "no answer came in time" if limit.expired() else words_of(error)
    return ""


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _tell(attempt: Attempt, untold: str, unburied: str) -> None:
    name, fields = attempt.order.task, attempt.fields
    if untold:
        log.error("task %s has ended and may come again: the queue cannot be told: %s", name, untold, extra=fields)
    else:
        log.error("task %s has failed and cannot be replayed: it is not buried: %s", name, unburied, extra=fields)


async def _noted(records: Records, attempt: Attempt, seconds: float) -> None:
    order = attempt.order
    if attempt.cut:
        await insisting(partial(records.ended, order, Status.CANCELLED, ""), seconds)
    elif attempt.error:
        await insisting(partial(records.ended, order, Status.FAILED, attempt.reason), seconds)
    else:
        await _done(records, attempt, seconds)


async def _done(records: Records, attempt: Attempt, seconds: float) -> None:
    done = partial(records.done, attempt.order, attempt.started_at)
    if not attempt.unkept:
        try:
            await insisting(partial(done, attempt.result), seconds)
            return
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:  # it is too large, or the like
            attempt.unkept = words_of(error)
            attempt.result = None
    # Whoever waits for it is to know that it is done.
    await insisting(partial(done, None, f"Its result could not be recorded: {attempt.unkept}"), seconds)
