"""Workers that are killed under load, and what becomes of the tasks."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import time
from dataclasses import dataclass

from tasks.processes import Site

WORKERS = 3
CONCURRENCY = 20
LEASE_SECONDS = 6  # a worker may stand still for four of them, and keeps what it holds
TASK_SECONDS = 0.2


@dataclass(frozen=True)
class Outcome:
    lost: int
    twice: int
    """How many ran to the end more than once, each time counted."""
    kills: int
    seconds: float
    """From the first task sent to the last one done."""


async def killed_under_load(site: Site, number: int, kills: int) -> Outcome:
    """Send so many tasks to three workers, and kill one of them so many times; each is replaced at once.

    At the end the workers are stopped. Raises AssertionError if one does not end well, or anything lies with the dead.
    """
    names = {str(each) for each in range(number)}
    few, killed = {"APP_TASKS_CONCURRENCY": str(CONCURRENCY)}, 0
    async with contextlib.AsyncExitStack() as stack:
        alive = [await stack.enter_async_context(site.launched("worker", **few)) for _ in range(WORKERS)]
        for process in alive:
            await process.listening()
        flooding = asyncio.create_task(site.run(f"flood 0 {number} --seconds {TASK_SECONDS}"))
        began = time.monotonic()
        while killed < kills and time.monotonic() < began + 300:
            await asyncio.sleep(random.uniform(0.5, 1.5))  # noqa: S311
            if len(site.done()) > killed * 0.9 * number / kills:  # until the end, whatever the machine's pace
                alive.pop(random.randrange(WORKERS)).signal(signal.SIGKILL)  # noqa: S311
                killed += 1
                alive.append(await stack.enter_async_context(site.launched("worker", **few)))
        await flooding
        with contextlib.suppress(AssertionError):  # what is missing is counted
            await site.all_done(names, 300)
        seconds = time.monotonic() - began
        await asyncio.sleep(2 * LEASE_SECONDS)  # for those that come twice
        done = site.done()
        assert await site.run("tasks dead list") == ""
        for process in alive:
            process.signal()
        for process in alive:
            assert await process.ended() == 0
    twice = sum(times - 1 for times in done.values())
    return Outcome(len(names - done.keys()), twice, killed, seconds)
