"""The part of the service that is its `tasks`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, overload

from prometheus_client import CollectorRegistry
from starlette.datastructures import State
from taskiq.abc.middleware import TaskiqMiddleware

from chassis.part import Check, Part, Resource
from chassis.telemetry import process_group, tracing

from . import opened as opening
from .definition import Options, Policy, Sent, Task
from .errors import InProcessError
from .opened import Opened
from .order import Order
from .periods import is_periodic, refuse_unusable
from .records import ENDED, TaskInfo, key_of
from .running import Running, current
from .settings import TasksSettings
from .urls import is_in_memory

if TYPE_CHECKING:
    import click

    from .consumer import Consumer, Healthy

Params = ParamSpec("Params")
Result = TypeVar("Result")
Function = Callable[Params, Coroutine[Any, Any, Result]]

FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.01, 0.5

log = logging.getLogger(__name__)


class Tasks(Part):
    """Put together in the team's package, as `tasks = Tasks()` in its module `tasks`.

        @tasks.task(retries=5, timeout=30)
        async def fetch(url: str) -> int: ...

    and `await fetch.enqueue(url=...)` in an endpoint, in another task or in a command.

    :param middlewares: taskiq's, of which `pre_send` and `post_send` are called.
    """

    settings = TasksSettings
    after = ("database",)

    def __init__(self, *, middlewares: Sequence[TaskiqMiddleware] = ()) -> None:
        self.known: dict[str, Task[Any, Any]] = {}
        self.duty: Duty = serve
        """What a process that has opened the service does about tasks."""
        self._middlewares = tuple(middlewares)
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
            task = Task(self, function, name or function.__name__, Policy(**policy))
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
        async with self._open(settings, None):
            yield

    @contextlib.asynccontextmanager
    async def _open(self, settings: Any, registry: CollectorRegistry | None) -> AsyncIterator[Opened]:
        metrics = opening.metrics_in(registry)
        async with opening.opened(settings.name, settings, metrics, self._middlewares) as opened:
            self._opened.append(opened)
            try:
                yield opened
            finally:
                self._opened.remove(opened)

    def resources(self) -> Mapping[str, Resource]:
        def tasks(settings: Any, registry: CollectorRegistry) -> AbstractAsyncContextManager[Opened]:
            return self._open(settings, registry)

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
        before, self._state = self._state, State(dict(state))
        try:
            async with self.duty(self, cast("Opened", state["tasks"])):
                yield
        finally:
            self._state = before


Duty = Callable[[Tasks, Opened], AbstractAsyncContextManager[None]]


@contextlib.asynccontextmanager
async def serve(part: Tasks, opened: Opened) -> AsyncIterator[None]:
    """The duty of a process that serves: it sends, and works only where nobody else can."""
    if not is_in_memory(opened.settings):
        yield
        return
    # In development that is as it should be.
    level = logging.INFO if part.state.settings.environment in {"development", "test"} else logging.WARNING
    log.log(level, "BROKER_URL is memory://: tasks are worked on in this process, and lost with it when it is killed")
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(_consumer(part, opened).working())
        is_first = process_group.PLACE is None or process_group.PLACE.slot == 0
        if is_first and any(is_periodic(task.policy) for task in part.known.values()):
            from .scheduler import Scheduler

            await stack.enter_async_context(Scheduler(opened, part).working())
        yield


@contextlib.asynccontextmanager
async def work(part: Tasks, opened: Opened, *, is_healthy: Healthy) -> AsyncIterator[None]:
    """The duty of a worker."""
    async with _consumer(part, opened, is_healthy=is_healthy).working():
        yield


@contextlib.asynccontextmanager
async def schedule(part: Tasks, opened: Opened) -> AsyncIterator[None]:
    """The duty of a scheduler."""
    from .scheduler import Scheduler

    async with Scheduler(opened, part).working():
        yield


def _consumer(part: Tasks, opened: Opened, **how: Any) -> Consumer:
    from .consumer import Consumer
    from .runner import Runner

    return Consumer(opened, Runner(opened, part.known), **how)
