"""Tasks are defined, sent and looked up here."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, overload

from prometheus_client import CollectorRegistry
from starlette.datastructures import State

from chassis.telemetry import tracing

from .definition import Function, Options, Params, Policy, Result, Sent, Task
from .errors import InProcessError
from .opened import Opened, connected, metrics_in
from .order import Order
from .periods import refuse_unusable
from .records import ENDED, TaskInfo, key_of
from .running import Running, current
from .urls import is_in_memory

FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.01, 0.5


class Dispatcher:
    """What a service knows of its tasks, and whoever sends them."""

    def __init__(self) -> None:
        self.known: dict[str, Task[Any, Any]] = {}
        self.duty: Duty | None = None
        """What a process that has opened the service does about tasks; by default it serves."""
        self._opened: list[Opened] = []
        self._state = State()

    @overload
    def task(self, function: Function[Params, Result], /) -> Task[Params, Result]: ...

    @overload
    def task(
        self,
        *,
        name: str = "",
        retries: int | None = None,
        timeout: float | None = None,
        deadline: float | None = None,
        give_up_on: tuple[type[Exception], ...] = (),
        cron: str = "",
        every: float = 0,
    ) -> Callable[[Function[Params, Result]], Task[Params, Result]]: ...

    def task(self, *function: Any, name: str = "", **policy: Any) -> Any:
        """Make a function a task. Times are in seconds.

        :param name: by which it is known, by default the function's; messages bear it, so it had better stay.
        :param retries: how often it is tried again when it fails; by default APP_TASKS_RETRIES.
        :param timeout: how long an attempt may take, 0 for any time; by default APP_TASKS_TIMEOUT_SECONDS.
        :param deadline: after how long it must not be started any more, retries included; by default never.
        :param give_up_on: exceptions after which trying again would not help.
        :param cron: when it is sent by itself, in UTC: minute, hour, day of month, month, day of week.
        :param every: or how often.

        The function is an `async def`. Its parameters have names, and types that pydantic can turn into JSON and back;
        so has its result. Raises TypeError for others, and ValueError for a name that is taken.
        """

        def define(function: Function[..., Any]) -> Task[..., Any]:
            task = Task(self.send, function, name or function.__name__, Policy(**policy))
            refuse_unusable(task)
            if task.name in self.known:
                raise ValueError(f"There is a task {task.name} already. Give this one another: name=...")
            self.known[task.name] = task
            return task

        return define(*function) if function else define

    @property
    def state(self) -> State:
        """What `request.state` holds in an endpoint: `tasks.state.settings`, and each resource by its name."""
        return self._state

    @property
    def running(self) -> Running:
        """The task that is being worked on. Raises LookupError outside of one."""
        running = current.get()
        if running is None:
            raise LookupError("No task is being worked on here.")
        return running

    async def find(self, one: str) -> TaskInfo | None:
        """What is known of the task with this id; None if nothing is, or no more."""
        return await self.open.records("Looking up a task").find(one)

    async def wait(self, one: str, *, seconds: float) -> TaskInfo:
        """What is known of a task once it has ended. Raises TimeoutError, and LookupError if nothing is known of it."""
        async with asyncio.timeout(seconds):
            pause = FIRST_LOOK_SECONDS
            while True:
                info = await self.find(one)
                if info is None:
                    raise LookupError(f"Nothing is known of a task {one}.")
                if info.status in ENDED:
                    return info
                await asyncio.sleep(pause)
                pause = min(2 * pause, LAST_LOOK_SECONDS)

    async def cancel(self, one: str) -> TaskInfo | None:
        """Have a task cancelled: one that is queued never runs, one that runs is cancelled within seconds.

        Returns what is known of it then; None if nothing is.
        """
        return await self.open.records("Cancelling a task").cancel(one)

    async def send(self, task: Task[..., Any], options: Options, arguments: dict[str, Any]) -> Sent:
        """What `enqueue` does."""
        now, ids = time.time(), dict[str, str]()
        tracing.inject(ids)
        deadline = task.policy.deadline if options.deadline is None else options.deadline
        order = Order(
            id=options.id,
            task=task.name,
            arguments=arguments,
            sent_at=now,
            due_at=now + options.delay if options.delay else 0,
            deadline=None if deadline is None else now + deadline,
            key=key_of(task.name, options.key) if options.key else "",
            key_seconds=options.key_seconds,
            request_id=ids.get("x-request-id", ""),
            traceparent=ids.get("traceparent", ""),
            tracestate=ids.get("tracestate", ""),
        )
        sent = await self.open.send(order)
        if sent.is_new:
            self.open.metrics.sent.labels(task.name).inc()
        return sent

    @property
    def open(self) -> Opened:
        """What is open. Raises RuntimeError outside of a service that runs."""
        if not self._opened:
            raise RuntimeError("Tasks are sent while the service runs, or inside `async with tasks.opened(settings):`.")
        return self._opened[-1]

    @contextlib.asynccontextmanager
    async def opened(self, settings: Any) -> AsyncIterator[None]:
        """For a one-off command: inside, tasks can be sent and looked up.

        Raises InProcessError where they would not leave the process.
        """
        if is_in_memory(settings):
            raise InProcessError("what a command sends ends with the command")
        async with self.connected(settings, None):
            yield

    @contextlib.asynccontextmanager
    async def connected(self, settings: Any, registry: CollectorRegistry | None) -> AsyncIterator[Opened]:
        """Inside, tasks can be sent, and are counted in `registry`."""
        async with connected(settings.name, settings, metrics_in(registry)) as opened:
            self._opened.append(opened)
            try:
                yield opened
            finally:
                self._opened.remove(opened)

    @contextlib.contextmanager
    def within(self, state: Mapping[str, Any]) -> Iterator[None]:
        """Inside, `self.state` holds this."""
        before, self._state = self._state, State(dict(state))
        try:
            yield
        finally:
            self._state = before


Duty = Callable[[Dispatcher, Opened], AbstractAsyncContextManager[None]]
