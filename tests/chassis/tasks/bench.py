"""What the tests of tasks share."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import anyio
from prometheus_client import CollectorRegistry

from chassis import Settings
from chassis.parts import with_settings_of
from chassis_tasks import Tasks
from chassis_tasks.consumer import always
from chassis_tasks.duties import work
from chassis_tasks.opened import Opened
from chassis_tasks.settings import TasksSettings

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


async def until(holds: Callable[[], Awaitable[object]], seconds: float = 5) -> None:
    """Wait until `holds` returns something true."""
    with anyio.fail_after(seconds):
        while not await holds():  # noqa: ASYNC110
            await anyio.sleep(0.01)


def count(opened: Opened, task: str, outcome: str) -> float:
    """How many attempts of `task` ended so."""
    found: float = opened.metrics.ended.labels(task, outcome)._value.get()
    return found
