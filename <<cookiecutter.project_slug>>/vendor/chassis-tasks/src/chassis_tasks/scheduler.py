"""The scheduler: sends the periodic tasks. However many there are, one is active; the others stand by."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import socket
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from chassis.process.lifecycle import ended

from .definition import Options, Task
from .dispatcher import Dispatcher
from .errors import StoreMissingError, TasksUnavailableError
from .opened import Opened
from .periods import is_periodic, tick
from .records import SENDING_SECONDS

LOOK_SECONDS = 0.5
LEASE_SECONDS = 6.0
RENEW_SECONDS = 2.0
MARGIN_SECONDS = 1.0  # clocks run apart, and what is sent takes a moment
KEPT_SECONDS = 400 * 86_400.0  # a yearly task is remembered
TICK_SECONDS = 3600.0  # for so long after its end the task of a tick is not sent again
LEASE = "scheduler"

log = logging.getLogger(__name__)


class Scheduler:
    """Sends each periodic task at its ticks, once each.

    What was missed while no scheduler ran is made up for by one sending. Raises StoreMissingError.
    """

    def __init__(self, opened: Opened, dispatcher: Dispatcher) -> None:
        if opened.store is None:
            raise StoreMissingError("The scheduler")
        self._store = opened.store
        self._metrics = opened.metrics
        self._send = dispatcher.send
        self._tasks = [task for task in dispatcher.known.values() if is_periodic(task.policy)]
        self._me = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4().hex}".encode()
        self._active_until = 0.0
        self._renew_at = 0.0
        self._last: dict[str, int] = {}
        self._doubted: dict[tuple[str, int], float] = {}

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Inside, periodic tasks are sent, by this process or by the one that is active."""
        self._metrics.schedules.set(0)
        running = asyncio.create_task(self._run())
        try:
            yield
        finally:
            await ended(running)
            with contextlib.suppress(ConnectionError, TimeoutError):  # then the others wait for the lease to end
                await self._store.remove(LEASE, self._me)

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
            except (ConnectionError, TimeoutError, TasksUnavailableError) as error:
                log.warning("the scheduler cannot do its work: %s: %s", type(error).__name__, error)
            except Exception:
                log.exception("the scheduler failed, and goes on")
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self) -> None:
        if time.monotonic() >= self._renew_at:
            await self._renew()
        for task in self._tasks:
            if time.monotonic() >= self._active_until - MARGIN_SECONDS:
                return
            await self._send_if_due(task)

    async def _renew(self) -> None:
        # The time before the question counts: the lease cannot end sooner.
        asked, was_active = time.monotonic(), self._active_until > time.monotonic()
        holds = await self._store.swap(LEASE, self._me, self._me, seconds=LEASE_SECONDS)
        holds = holds or await self._store.add(LEASE, self._me, seconds=LEASE_SECONDS)
        self._active_until = asked + LEASE_SECONDS if holds else 0.0
        self._renew_at = asked + (RENEW_SECONDS if holds else LOOK_SECONDS)
        self._metrics.schedules.set(holds)
        if holds and not was_active:
            self._last.clear()  # another was active meanwhile
            log.info("this scheduler is active, for %d periodic tasks", len(self._tasks))
        elif was_active and not holds:
            log.warning("this scheduler stands by: another is active")

    async def _send_if_due(self, task: Task[Any, Any]) -> None:
        due, place = tick(task.policy, time.time()), _place(task.name)
        if task.name not in self._last:
            # A new one begins with its next tick.
            await self._store.add(place, str(due).encode(), seconds=KEPT_SECONDS)
            self._last[task.name] = int(await self._store.get(place) or due)
        if due > self._last[task.name] and await self._is_sent(task, due):
            await self._store.put(place, str(due).encode(), seconds=KEPT_SECONDS)
            self._last[task.name] = due

    async def _is_sent(self, task: Task[Any, Any], due: int) -> bool:
        one = hashlib.blake2b(f"{task.name}\0{due}".encode(), digest_size=16).hexdigest()
        options = Options(id=one, key=f"tick {due}", key_seconds=TICK_SECONDS)
        sent = await self._send(task, options, {})
        if sent.is_new:
            log.info("task %s is sent for %s", task.name, _clock(due), extra={"task_id": one})
            self._doubted.pop((task.name, due), None)
            return True
        # Somebody took the key before. If that one was killed while sending, the key is free in a moment.
        seen = self._doubted.setdefault((task.name, due), time.monotonic())
        if time.monotonic() < seen + SENDING_SECONDS + MARGIN_SECONDS:
            return False
        del self._doubted[task.name, due]
        return True


def _place(task: str) -> str:
    return f"tick.{hashlib.blake2b(task.encode(), digest_size=20).hexdigest()}"


def _clock(tick: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(tick))
