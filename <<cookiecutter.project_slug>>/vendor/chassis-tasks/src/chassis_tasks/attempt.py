"""One call of a task's function, and how it ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from chassis.telemetry import tracing

from .definition import Task
from .errors import cannot_raise, words_of
from .metrics import TaskMetrics
from .order import Order
from .running import Cut, InHand, Running, current

Report = Callable[[str, bytes], Awaitable[None]]

log = logging.getLogger(__name__)


class Limits(NamedTuple):
    """How long an attempt may take, and when there is another."""

    seconds: float | None
    retry_in: Callable[[Exception], float | None]
    """In how many seconds the task is tried again after this exception; None for never."""


class Attempt:
    """One call of a task's function."""

    def __init__(self, order: Order, task: Task[Any, Any], limits: Limits) -> None:
        self._task = task
        self._limits = limits
        self._began = time.perf_counter()
        self.order = order
        self.started_at = datetime.now(UTC)
        self.seconds = 0.0
        self.result: Any = None
        """As JSON has it."""
        self.unkept = ""
        """Why there is no result although the function returned one, in one line."""
        self.unrecorded = ""
        """Why nothing was recorded of how it ended, in one line."""
        self.error: Exception | None = None
        self.retry_in: float | None = None
        self.cut: Cut | None = None

    async def run(self, arguments: Mapping[str, Any], in_hands: set[InHand], report: Report) -> None:
        """Call the function. Remembers what became of it; raises nothing.

        :param in_hands: of which it is one meanwhile.
        """
        # A task of its own: cancelling it must not cancel what has to be done afterwards.
        in_hand = InHand(self.order, asyncio.create_task(self._call(arguments, report), name=self.order.task))
        in_hands.add(in_hand)
        try:
            await asyncio.wait([in_hand.work])
        finally:
            in_hands.discard(in_hand)
        self.seconds = time.perf_counter() - self._began
        self._take(in_hand)

    def _take(self, in_hand: InHand) -> None:
        work = in_hand.work
        error = asyncio.CancelledError() if work.cancelled() else work.exception()
        if error is None:
            return
        if in_hand.cut:  # whatever it raised when it was cut off
            self.cut = in_hand.cut
            return
        # A cancellation that was not ours is a failure of the task.
        self.error = error if isinstance(error, Exception) else RuntimeError(words_of(error).removesuffix(":"))
        with cannot_raise("when to try again cannot be told"):
            self.retry_in = self._limits.retry_in(self.error)

    async def _call(self, arguments: Mapping[str, Any], report: Report) -> None:
        order = self.order
        current.set(Running(order.id, order.task, order.attempt, order.deadline, report))
        try:
            async with asyncio.timeout(self._limits.seconds):
                result = await self._task.function(**arguments)
        except (SystemExit, KeyboardInterrupt) as error:  # it would end the worker, and with it what else is under way
            raise RuntimeError(f"it tried to end the process: {words_of(error)}") from error
        try:
            self.result = self._task.packed_result(result)
        except BaseException as error:  # a team's serializer may raise anything, and the work is done
            self.unkept = f"it cannot be kept as JSON: {words_of(error)}"

    def give_up(self, why: str) -> None:
        """There is no next attempt, although there should be."""
        self.retry_in = None
        self.error = RuntimeError(f"{self.reason}. {why}")

    @property
    def is_over(self) -> bool:
        """Whether the function ran to its end, for good: it is not to be called again for this order."""
        return self.cut is not Cut.STOPPED and self.retry_in is None

    @property
    def has_failed(self) -> bool:
        """Whether it ran out of tries."""
        return self.is_over and self.error is not None

    @property
    def reason(self) -> str:
        """What it failed with, in one line."""
        words = words_of(self.error) if self.error else ""
        return "TimeoutError: it was not done in time" if words == "TimeoutError:" else words

    @property
    def outcome(self) -> str:
        if self.cut:
            return {Cut.STOPPED: "handed_back", Cut.CANCELLED: "cancelled"}[self.cut]
        if self.error is None:
            return "done_without_result" if self.unkept or self.unrecorded else "done"
        return "failed" if self.retry_in is None else "retried"

    def tell(self, metrics: TaskMetrics) -> None:
        """Log and count how it ended. Raises nothing."""
        name = self.order.task
        with cannot_raise("an attempt was not counted"):
            metrics.ended.labels(name, self.outcome).inc()
            metrics.duration.labels(name).observe(self.seconds)
        with cannot_raise("an attempt was not traced"):
            if self.error:
                tracing.record(self.error)
        with cannot_raise("an attempt was not logged"):
            self._log()

    def _log(self) -> None:
        name, fields = self.order.task, self.fields
        if self.error is not None:
            level = logging.ERROR if self.retry_in is None else logging.WARNING
            log.log(level, "task %s %s", name, self.outcome, extra=fields, exc_info=self.error)
        elif self.outcome == "done_without_result":
            why = self.unrecorded or self.unkept
            log.error("task %s is done, but its result could not be recorded: %s", name, why, extra=fields)
            return
        else:
            log.info("task %s %s", name, self.outcome, extra=fields)
        if self.unrecorded:
            log.error("how task %s ended could not be recorded: %s", name, self.unrecorded, extra=fields)

    @property
    def fields(self) -> dict[str, Any]:
        """What its lines in the log say beside their words."""
        fields = {
            "task": self.order.task,
            "task_id": self.order.id,
            "attempt": self.order.attempt,
            "outcome": self.outcome,
            "duration_ms": round(self.seconds * 1000, 3),
        }
        if self.retry_in is not None:
            fields["retry_in_seconds"] = round(self.retry_in, 3)
        return fields
