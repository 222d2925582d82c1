"""The part of the service that is its `tasks`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry

from chassis.part import Check, Part, Resource

from .dispatcher import Dispatcher
from .opened import Opened
from .settings import TasksSettings

if TYPE_CHECKING:
    import click


class Tasks(Dispatcher, Part):
    """Put together in the team's package, as `tasks = Tasks()` in its module `tasks`.

        @tasks.task(retries=5, timeout=30)
        async def fetch(url: str) -> int: ...

    and `await fetch.enqueue(url=...)` in an endpoint, in another task or in a command.
    """

    settings = TasksSettings
    after = ("database",)

    def resources(self) -> Mapping[str, Resource]:
        def tasks(settings: Any, registry: CollectorRegistry) -> AbstractAsyncContextManager[Opened]:
            return self.connected(settings, registry)

        return {"tasks": tasks}

    def checks(self) -> Mapping[str, Check]:
        async def broker(given: Any) -> None:
            await given.tasks.queue.ping()

        async def store(given: Any) -> None:
            if given.tasks.store is not None:
                await given.tasks.store.ping()

        return {"broker": broker, "tasks_store": store}

    def commands(self) -> Sequence[click.Command]:
        from .commands import scheduler_command, tasks_commands, worker_command

        return (worker_command, scheduler_command, tasks_commands)

    @contextlib.asynccontextmanager
    async def at_work(self, state: Mapping[str, Any]) -> AsyncIterator[None]:
        from .duties import serve

        duty = self.duty or serve
        with self.within(state):
            async with duty(self, state["tasks"]):
                yield
