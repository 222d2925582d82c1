"""Checks: can the backing services be used?"""

import asyncio
import logging
import time
from collections.abc import Mapping

from starlette.datastructures import State

from ..failures import StartError
from ..part import Check

OK = "ok"

log = logging.getLogger("chassis.checks")


class Checks:
    """Runs `checks` side by side, each with a time-out, and remembers the results for a moment.

    :param checks: by name.
    """

    def __init__(self, checks: Mapping[str, Check]) -> None:
        self.timeout = 2.0
        """How long a check may take, in seconds."""
        self.fresh_for = 1.0
        """How long results are good for, in seconds: probes must not stampede a backing service."""
        self.last: dict[str, str] = {}
        """The results of the last run."""
        self._checks = dict(checks)
        self.reset({})

    def add(self, checks: Mapping[str, Check]) -> None:
        """Run `checks` too, by name. Raises StartError if one of that name is there."""
        if taken := checks.keys() & self._checks.keys():
            raise StartError(f"There are two checks called {taken.pop()!r}: give yours another name.")
        self._checks.update(checks)

    def reset(self, resources: Mapping[str, object]) -> None:
        """Forget the results, and hand `resources` to the checks from now on."""
        self._given = State(dict(resources))
        self._fresh_until = 0.0
        self._run: asyncio.Task[dict[str, str]] | None = None
        self._stuck: dict[str, asyncio.Task[object]] = {}

    async def results(self) -> dict[str, str]:
        """Return "ok", or what is wrong, by the name of the check. Never holds an error's message."""
        if time.monotonic() < self._fresh_until:
            return self.last
        if self._run is None or self._run.done():
            self._run = asyncio.create_task(self._run_all())
        # All probes that come meanwhile await the same run; one that hangs up does not end it for the others.
        return await asyncio.shield(self._run)

    async def _run_all(self) -> dict[str, str]:
        # One that did not even end when it was cancelled is not started again: that would pile them up.
        tasks = {name: self._stuck.get(name) or asyncio.create_task(self._call(name)) for name in self._checks}
        if tasks:
            await asyncio.wait(tasks.values(), timeout=self.timeout)
        results = {name: self._result(task) for name, task in tasks.items()}
        self._stuck = {name: task for name, task in tasks.items() if not task.done()}
        for task in self._stuck.values():
            task.cancel()
        self._tell_changes(results)
        self.last = results
        self._fresh_until = time.monotonic() + self.fresh_for
        return results

    async def _call(self, name: str) -> object:
        return await self._checks[name](self._given)

    def _result(self, task: asyncio.Task[object]) -> str:
        if not task.done() or task.cancelled():
            return f"no answer in {self.timeout:g} s"
        error = task.exception()
        return type(error).__name__ if error else OK  # the message may hold an address or a password

    def _tell_changes(self, results: Mapping[str, str]) -> None:
        for name, result in results.items():
            before = self.last.get(name, OK)
            if result != OK and result != before:
                log.warning("check %s failed: %s", name, result, extra={"check": name})
            elif result == OK and before != OK:
                log.info("check %s passes again", name, extra={"check": name})
