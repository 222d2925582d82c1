"""The duties of processes that have opened the service: to serve, to work, to send periodic tasks."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

from chassis.telemetry import process_group

from .consumer import Consumer, Healthy
from .dispatcher import Dispatcher
from .opened import Opened
from .periods import is_periodic
from .runner import Runner
from .scheduler import Scheduler
from .urls import is_in_memory

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def serve(dispatcher: Dispatcher, opened: Opened) -> AsyncIterator[None]:
    """The duty of a process that serves: it sends, and works only where nobody else can."""
    if not is_in_memory(opened.settings):
        yield
        return
    # In development that is as it should be.
    level = logging.INFO if dispatcher.state.settings.environment in {"development", "test"} else logging.WARNING
    log.log(level, "BROKER_URL is memory://: tasks are worked on in this process, and lost with it when it is killed")
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(_consumer(dispatcher, opened).working())
        is_first = process_group.PLACE is None or process_group.PLACE.slot == 0
        if is_first and any(is_periodic(task.policy) for task in dispatcher.known.values()):
            await stack.enter_async_context(Scheduler(opened, dispatcher).working())
        yield


@contextlib.asynccontextmanager
async def work(dispatcher: Dispatcher, opened: Opened, *, is_healthy: Healthy) -> AsyncIterator[None]:
    """The duty of a worker."""
    async with _consumer(dispatcher, opened, is_healthy=is_healthy).working():
        yield


@contextlib.asynccontextmanager
async def schedule(dispatcher: Dispatcher, opened: Opened) -> AsyncIterator[None]:
    """The duty of a scheduler."""
    async with Scheduler(opened, dispatcher).working():
        yield


def _consumer(dispatcher: Dispatcher, opened: Opened, **how: Any) -> Consumer:
    return Consumer(opened, Runner(opened, dispatcher.known), **how)
