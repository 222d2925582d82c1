"""What becomes of work whose worker dies, comes twice, or comes too late."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from poller import jobs
from poller.__main__ import service
from poller.database import Batch, Job, Url, database
from poller.fetch import Answer

pytestmark = pytest.mark.anyio
NOW = datetime.now(UTC)


@pytest.fixture
async def job(tables: None) -> AsyncIterator[UUID]:
    """A job of 210 URLs: two batches."""
    settings: Any = service.load()
    async with database.open(settings):
        async with database.session() as session:
            job = await jobs.create(session, "ada", [f"http://a.example/{number}" for number in range(210)])
        yield job


async def expire() -> None:
    """Let the time of a lease pass."""
    async with database.session() as session:
        await session.execute(update(Batch).values(leased_until=datetime.now(UTC) - timedelta(seconds=1)))


async def status(job: UUID) -> str:
    return (await jobs.progress(job)).status


async def test_a_batch_is_shared_out_once(job: UUID) -> None:
    assert await jobs.unattended() == [(job, 0), (job, 200)]
    assert await jobs.unattended() == []


async def test_a_batch_is_one_workers(job: UUID) -> None:
    await jobs.unattended()
    assert len(await jobs.claim(job, 0, "one")) == 200
    assert await jobs.claim(job, 0, "two") == []
    assert len(await jobs.claim(job, 200, "two")) == 10
    assert await status(job) == "running"


async def test_whoever_has_the_same_message_goes_on_at_once(job: UUID) -> None:
    await jobs.claim(job, 0, "one")
    await jobs.record(job, 0, "one", {0: Answer(NOW, 200)})
    assert len(await jobs.claim(job, 0, "one")) == 199


async def test_what_nobody_is_at_any_more_is_taken_up(job: UUID) -> None:
    await jobs.unattended()
    await jobs.claim(job, 0, "one")
    await jobs.record(job, 0, "one", {0: Answer(NOW, 200)})
    await expire()
    assert (job, 0) in await jobs.unattended()
    assert [url.position for url in await jobs.claim(job, 0, "two")] == [*range(1, 200)]


async def test_who_lost_the_lease_records_nothing(job: UUID) -> None:
    await jobs.claim(job, 0, "one")
    await expire()
    await jobs.claim(job, 0, "two")
    assert not await jobs.record(job, 0, "one", {0: Answer(NOW, 500)})
    assert await jobs.record(job, 0, "two", {0: Answer(NOW, 200)})
    assert await jobs.record(job, 0, "two", {0: Answer(NOW, 404)})
    async with database.session() as session:
        assert await session.scalar(select(Url.status).where(Url.position == 0)) == 200


async def test_recording_renews_the_lease(job: UUID) -> None:
    await jobs.claim(job, 0, "one")
    async with database.session() as session:
        await session.execute(update(Batch).values(leased_until=datetime.now(UTC) + timedelta(seconds=1)))
    assert await jobs.record(job, 0, "one", {})
    async with database.session() as session:
        until = await session.scalar(select(Batch.leased_until).where(Batch.first == 0))
    assert until is not None
    assert until > datetime.now(UTC) + timedelta(seconds=10)


async def test_a_job_is_over_when_its_last_batch_is(job: UUID) -> None:
    for first in (0, 200):
        answers = {url.position: Answer(NOW, 200) for url in await jobs.claim(job, first, "one")}
        await jobs.conclude()
        assert await status(job) == "running"
        assert await jobs.finish(job, first, "one", answers)
    await jobs.conclude()
    assert await jobs.progress(job) == ("ready", 210, 210)


async def test_a_batch_whose_worker_died_just_before_its_end_is_over(job: UUID) -> None:
    await jobs.claim(job, 200, "one")
    await jobs.record(job, 200, "one", {position: Answer(NOW, 200) for position in range(200, 210)})
    assert await jobs.claim(job, 200, "one") == []
    async with database.session() as session:
        assert (await session.scalars(select(Batch.first))).all() == [0]


async def test_of_a_job_that_was_removed_nothing_is_left(job: UUID) -> None:
    await jobs.claim(job, 0, "one")
    await jobs.forget(datetime.now(UTC) + timedelta(seconds=1))
    assert not await jobs.record(job, 0, "one", {0: Answer(NOW, 200)})
    assert await jobs.claim(job, 200, "one") == []
    assert await status(job) == "cancelled"
    async with database.session() as session:
        for table in (Job, Batch, Url):
            assert (await session.scalars(select(table))).all() == []


async def test_what_is_young_is_kept(job: UUID) -> None:
    await jobs.forget(datetime.now(UTC) - timedelta(minutes=1))
    assert await status(job) == "queued"
