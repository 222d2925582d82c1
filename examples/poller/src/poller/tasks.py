"""Work in the background: each task asks the URLs of one batch."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

from chassis_tasks import Tasks

from . import jobs
from .database import Job
from .fetch import Answer, Fetcher

RECORD_SECONDS = 0.5
"""How often answers are written down, and thereby who watches hears of them."""

tasks = Tasks()


@tasks.task(every=10)
async def share_out() -> None:
    """Send a task for each batch that nobody is at: of new jobs, and what was left behind by those who died."""
    for job, first in await jobs.unattended():
        await poll.enqueue(job, first)
    await jobs.conclude()


@tasks.task(timeout=0)  # as long as it takes: each URL has a limit of its own
async def poll(job: UUID, first: int) -> None:
    """Ask the URLs of a batch that have no result yet."""
    fetcher: Fetcher = tasks.state.fetcher
    worker = tasks.running.id

    async def ask(url: jobs.Open) -> tuple[int, Answer]:
        return url.position, await fetcher.fetch(url.url, url.known)

    async with asyncio.TaskGroup() as group:
        asking = {group.create_task(ask(url)) for url in await jobs.claim(job, first, worker)}
        is_ours = True
        while asking and is_ours:
            done, asking = await asyncio.wait(asking, timeout=RECORD_SECONDS)
            note = jobs.record if asking else jobs.finish
            is_ours = await note(job, first, worker, dict(task.result() for task in done))
        for task in asking:
            task.cancel()  # the job was removed
    await jobs.conclude(Job.id == job)


@tasks.task(cron="17 3 * * *")
async def forget() -> None:
    """Remove what is older than poll_keep_days."""
    await jobs.forget(datetime.now(UTC) - timedelta(days=tasks.state.settings.poll_keep_days))
