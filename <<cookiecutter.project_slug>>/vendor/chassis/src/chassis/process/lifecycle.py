"""The life of what a service opens: resources and background work."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from ..failures import CloseError, StartError
from ..part import Resource

Result = TypeVar("Result")

CANCEL_SECONDS = 3.0
"""How long a task may clean up before it is cancelled again."""

log = logging.getLogger("chassis.lifecycle")


async def ended(task: asyncio.Task[Any]) -> None:
    """Cancel `task` until it ends, and wait for that. What it raised stays in it.

    Once is not enough: redis-py takes a cancellation that comes while it connects for a time-out, and before Python
    3.12 asyncio.wait_for returns a result that comes at the same moment instead of ending.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_SECONDS)


class Background:
    """Work that goes on after the response, and that the shutdown waits for.

    For work that ends by itself; what runs for as long as the service belongs into a resource.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False

    def spawn(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        """Start `work`. An exception in it is logged. Raises RuntimeError once the shutdown has waited for all."""
        if self._closed:
            work.close()
            raise RuntimeError("The service is ending: no background work can start any more.")
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def finish(self, seconds: float) -> None:
        """Wait until all is done, also what it started meanwhile; cancel what is not done in `seconds`.

        Raises CloseError if something had to be cancelled.
        """
        try:
            async with asyncio.timeout(seconds):
                while self._tasks:
                    await asyncio.wait(self._tasks)
        except TimeoutError:
            log.error("background work was cancelled: %d not done in %g s", len(self._tasks), seconds)
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=1)
            raise CloseError("background work") from None
        finally:
            self._closed = True

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("background work failed: %s", task.get_coro(), exc_info=error)


@contextlib.asynccontextmanager
async def opened(
    resources: Mapping[str, Resource], settings: object, *, seconds: float
) -> AsyncIterator[dict[str, object]]:
    """Open `resources` in their order, and close them in reverse.

    :param seconds: how long opening or closing one may take.

    Yields what they gave, by name. Raises StartError naming the one that cannot be opened, and CloseError when at
    least one did not close; all the others are closed in both cases.
    """
    managers: dict[str, AbstractAsyncContextManager[object]] = {}
    given: dict[str, object] = {}
    unclosed: list[str] = []
    try:
        for name, resource in resources.items():
            manager, given[name] = await _open(name, resource, settings, seconds)
            managers[name] = manager
        yield given
    finally:
        for name, manager in reversed(managers.items()):
            if not await _close(name, manager, seconds):
                unclosed.append(name)
    if unclosed:
        raise CloseError(", ".join(unclosed))


async def _open(
    name: str, resource: Resource, settings: object, seconds: float
) -> tuple[AbstractAsyncContextManager[object], object]:
    try:
        async with asyncio.timeout(seconds) as limit:
            manager = resource(settings)
            return manager, await manager.__aenter__()
    except Exception as error:
        reason = f"no answer in {seconds:g} s" if limit.expired() else f"{type(error).__name__}: {error}"
        raise StartError(f"Cannot start: the resource {name!r} could not be opened: {reason}") from error


async def _close(name: str, manager: AbstractAsyncContextManager[object], seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds) as limit:
            await manager.__aexit__(None, None, None)
    except Exception as error:
        reason = f"not done in {seconds:g} s" if limit.expired() else f"{type(error).__name__}: {error}"
        log.error("resource %s did not close: %s", name, reason, exc_info=log.isEnabledFor(logging.DEBUG))
        return False
    return True
