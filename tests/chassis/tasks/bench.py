"""What the tests of tasks share."""

import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import anyio
import pytest
from prometheus_client import CollectorRegistry

from chassis import Settings
from chassis.parts import with_settings_of
from chassis_tasks import Tasks
from chassis_tasks.consumer import always
from chassis_tasks.duties import work
from chassis_tasks.memory_queue import MemoryQueue
from chassis_tasks.opened import Opened
from chassis_tasks.records import TaskInfo
from chassis_tasks.settings import TasksSettings
from patience import HANGS

Open = Callable[..., AbstractAsyncContextManager[Opened]]
MEMORY = "memory://"


def settings_of(**settings: Any) -> Any:
    """The settings of a service with tasks."""
    quick = {"tasks_backoff_seconds": 0.01, "tasks_shutdown_seconds": 2, "broker_url": MEMORY}
    return with_settings_of([TasksSettings], Settings)(name="under-test", **{**quick, **settings})


@contextlib.asynccontextmanager
async def opened(part: Tasks, **settings: Any) -> AsyncIterator[Opened]:
    """Only what sends tasks."""
    resource = part.resources()["tasks"]
    async with resource(settings_of(**settings), registry=CollectorRegistry()) as given:
        assert isinstance(given, Opened)
        yield given


@contextlib.asynccontextmanager
async def at_work(part: Tasks, **settings: Any) -> AsyncIterator[Opened]:
    """A service that serves, and so works on its tasks itself."""
    async with opened(part, **settings) as given, part.at_work({"settings": given.settings, "tasks": given}):
        yield given


@contextlib.asynccontextmanager
async def worker(part: Tasks, **settings: Any) -> AsyncIterator[Opened]:
    """A worker of its own on what the settings name."""
    async with opened(part, **settings) as given:
        state = {"settings": given.settings, "tasks": given}
        part.duty = partial(work, is_healthy=always)
        async with part.at_work(state):
            yield given


async def until(holds: Callable[[], Awaitable[object]], seconds: float = HANGS) -> None:
    """Wait until `holds` returns something true."""
    with anyio.fail_after(seconds):
        while not await holds():  # noqa: ASYNC110
            await anyio.sleep(0.01)


def count(opened: Opened, task: str, outcome: str) -> float:
    """How many attempts of `task` ended so."""
    found: float = opened.metrics.ended.labels(task, outcome)._value.get()
    return found


class Runs:
    """Counts how often a task did its work."""

    def __init__(self, part: Tasks, end: Callable[[], Any], **policy: Any) -> None:
        self.count = 0
        self.one = ""

        @part.task(**policy)
        async def work() -> Any:
            self.count += 1
            return end()

        self._part, self._task = part, work

    async def sent(self) -> str:
        self.one = (await self._task.enqueue()).id
        return self.one

    async def info(self) -> TaskInfo:
        return await self._part.wait(self.one, seconds=HANGS)


def raises(error: BaseException) -> Callable[[], Any]:
    def end() -> None:
        raise error

    return end


async def is_gone(opened: Opened) -> bool:
    """Whether nothing waits, is held or is delayed."""
    if isinstance(opened.queue, MemoryQueue):
        return opened.queue.left() == 0
    return await opened.queue.depth() == 0


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.ERROR]


async def counted(opened: Opened, *outcomes: str) -> bool:
    return any(count(opened, "work", outcome) for outcome in outcomes)
