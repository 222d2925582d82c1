"""What is open while a process sends tasks or works on them: the queue, the store, and what counts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry

from .definition import Sent
from .errors import NoStoreError, TasksUnavailableError
from .metrics import TaskMetrics
from .order import Order
from .queue import Queue
from .records import Records
from .settings import TasksSettings
from .store import Store
from .urls import queue_of, store_of

log = logging.getLogger(__name__)

_metrics: WeakKeyDictionary[CollectorRegistry, TaskMetrics] = WeakKeyDictionary()


@dataclass(frozen=True)
class Opened:
    """What is open."""

    settings: TasksSettings
    queue: Queue
    store: Store | None
    metrics: TaskMetrics

    def records(self, what: str) -> Records:
        """The records, which `what` needs. Raises NoStoreError."""
        if self.store is None:
            raise NoStoreError(what)
        return Records(self.store, keep=self.settings.tasks_keep_seconds)

    @property
    def records_if_kept(self) -> Records | None:
        """The records, if there is a store."""
        return None if self.store is None else self.records("")

    async def send(self, order: Order) -> Sent:
        """Hand `order` over, unless another task has its key.

        Raises TasksUnavailableError: then nothing was handed over, as far as can be told.
        """
        try:
            async with asyncio.timeout(self.settings.tasks_send_seconds):
                return await self._send(order)
        except (ConnectionError, TimeoutError) as error:
            log.warning("task %s was not taken: %s: %s", order.task, type(error).__name__, error)
            raise TasksUnavailableError("The task could not be handed over. Try again later.") from error

    async def _send(self, order: Order) -> Sent:
        records = self.records("A key") if order.key else self.records_if_kept
        if records is None:
            await self.put(order)
            return Sent(order.id)
        # The holder may bear the same id: the task of a tick does, whoever sends it.
        if order.key and (holder := await records.take_key(order)):
            return Sent(holder, is_new=False)
        try:
            await records.queued(order)
            await self.put(order)
        except BaseException:
            with contextlib.suppress(ConnectionError):
                await asyncio.shield(records.forget(order))
            raise
        if order.key:
            await records.hold_key(order)
        return Sent(order.id)

    async def put(self, order: Order) -> None:
        """Put `order` into the queue. Raises ConnectionError: then it is not there."""
        await self.queue.put(order.packed(), delay=order.delay)


@contextlib.asynccontextmanager
async def connected(service: str, settings: TasksSettings, metrics: TaskMetrics) -> AsyncIterator[Opened]:
    """Connect to the queue and the store that `settings` name, for this service."""
    queue, store = queue_of(service, settings), store_of(service, settings)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(queue.shutdown)
        await queue.startup()
        if store is not None:
            stack.push_async_callback(store.shutdown)
        yield Opened(settings, queue, store, metrics)


def metrics_in(registry: CollectorRegistry | None) -> TaskMetrics:
    """The metrics in `registry`, or some that nobody reads."""
    if registry is None:
        return TaskMetrics(CollectorRegistry())
    # A registry refuses a second metric of one name, and a service may open its tasks twice: its tests do.
    return _metrics.get(registry) or _metrics.setdefault(registry, TaskMetrics(registry))
