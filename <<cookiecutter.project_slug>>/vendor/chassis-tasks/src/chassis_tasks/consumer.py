"""The consumer: takes messages from the queue, as many at a time as it may, for as long as all is well."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from chassis.process import lifecycle

from .memory_queue import MemoryQueue
from .opened import Opened
from .queue import Delivery
from .records import Records
from .runner import Runner
from .running import Cut, InHand

LOOK_SECONDS = 1.0
"""How often it is looked whether all is well, and who was cancelled."""
COUNT_SECONDS = 5.0
RENEW_SECONDS = 600.0
END_SECONDS = 5.0
"""How long a task may take to end that was cut off."""

Healthy = Callable[[], Awaitable[bool]]

log = logging.getLogger(__name__)


async def always() -> bool:
    """Of a consumer that has nobody to ask."""
    return True


class Consumer:
    """Works on what comes through the queue.

    :param is_healthy: whether messages may be taken now.
    """

    def __init__(self, opened: Opened, runner: Runner, *, is_healthy: Healthy = always) -> None:
        self._opened = opened
        self._runner = runner
        self._is_healthy = is_healthy
        self._slots = asyncio.Semaphore(opened.settings.tasks_concurrency)
        self._handling: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Inside, messages are worked on. At the end those under way have some time, and the others go back."""
        sides = [asyncio.create_task(side()) for side in (self._watch, self._count)]
        taking = asyncio.create_task(self._take_while_healthy())
        try:
            yield
        finally:
            deadline = time.monotonic() + self._opened.settings.tasks_shutdown_seconds
            await self._work_off(deadline)
            await _ended(taking)
            await self._drain(max(0, deadline - time.monotonic()))
            for side in sides:
                await _ended(side)
            self._tell_losses()

    async def _work_off(self, deadline: float) -> None:
        # What lies in memory can be handed back to nobody: it is done now, or never.
        queue = self._opened.queue
        if isinstance(queue, MemoryQueue):
            while (await queue.depth() or self._handling) and time.monotonic() < deadline:  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    def _tell_losses(self) -> None:
        queue = self._opened.queue
        if isinstance(queue, MemoryQueue) and (lost := queue.left()):
            log.error("%d tasks are lost: they lay in this process' memory (BROKER_URL is memory://)", lost)

    async def _drain(self, seconds: float) -> None:
        if self._handling:
            log.info("%d tasks are under way; they have %.0f s", len(self._handling), seconds)
            await asyncio.wait(self._handling, timeout=seconds)
        if not self._handling:
            return
        in_hands = [*self._runner.in_hand]  # what has ended and is being recorded is none of them
        if in_hands:
            log.warning("%d tasks are handed back: not done in %.0f s", len(in_hands), seconds)
        for in_hand in in_hands:
            in_hand.cut_off(Cut.STOPPED)
        await asyncio.wait(self._handling, timeout=END_SECONDS)
        if self._handling:
            log.error("%d tasks do not end; they come back when their lease is over", len(self._handling))

    async def _take_while_healthy(self) -> None:
        while True:
            if not await self._is_healthy():
                log.info("no tasks are taken until this process is ready")
                await self._until(well=True)
            taking = asyncio.create_task(self._take())
            watching = asyncio.create_task(self._until(well=False))
            try:
                await asyncio.wait({taking, watching}, return_when=asyncio.FIRST_COMPLETED)
                if not taking.done():
                    log.warning("no more tasks are taken: this process is not ready")
            finally:
                await _ended(watching)
                await _ended(taking)

    async def _until(self, *, well: bool) -> None:
        while await self._is_healthy() is not well:  # noqa: ASYNC110
            await asyncio.sleep(LOOK_SECONDS)

    async def _take(self) -> None:
        try:
            async with contextlib.aclosing(self._opened.queue.listen()) as deliveries:
                await self._take_from(deliveries)
        except (ConnectionError, TimeoutError) as error:
            log.warning("no tasks can be taken: %s: %s", type(error).__name__, error)
        except Exception:
            log.exception("no tasks can be taken, by a fault of the chassis")
        await asyncio.sleep(LOOK_SECONDS)

    async def _take_from(self, deliveries: Any) -> None:
        spare = 0
        try:
            await self._slots.acquire()
            spare = 1
            async for delivery in deliveries:
                self._start(delivery)  # the slot is its own now
                spare = 0
                await self._slots.acquire()
                spare = 1
        finally:
            if spare:
                self._slots.release()

    def _start(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._runner.handle(delivery))
        self._handling.add(task)
        task.add_done_callback(self._handled)

    def _handled(self, task: asyncio.Task[None]) -> None:
        self._handling.discard(task)
        self._slots.release()

    async def _watch(self) -> None:
        # Who was cancelled? And whose record has to live on?
        records = self._opened.records_if_kept
        while records is not None:
            await asyncio.sleep(LOOK_SECONDS)
            for in_hand in [*self._runner.in_hand]:
                if in_hand.age > LOOK_SECONDS:
                    await self._look_after(in_hand, records)

    async def _look_after(self, in_hand: InHand, records: Records) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            if await records.is_cancelling(in_hand.order):
                in_hand.cut_off(Cut.CANCELLED)
            if time.monotonic() > in_hand.renewed_at + RENEW_SECONDS:
                await records.renew(in_hand.order)
                in_hand.renewed_at = time.monotonic()

    async def _count(self) -> None:
        metrics, queue = self._opened.metrics, self._opened.queue
        while True:
            with contextlib.suppress(ConnectionError, TimeoutError):
                metrics.depth.set(await queue.depth())
                metrics.buried.set(len(await queue.buried()))
            await asyncio.sleep(COUNT_SECONDS)


async def _ended(task: asyncio.Task[Any]) -> None:
    """Cancel `task` and wait for it; what it raised is logged."""
    await lifecycle.ended(task)
    if not task.cancelled() and (error := task.exception()):
        log.error("taking tasks failed", exc_info=error)
