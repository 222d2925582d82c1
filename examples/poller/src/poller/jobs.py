"""What happens to jobs in the database. Each function but `create` is one transaction."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Delete, Update, bindparam, case, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from .database import Batch, Job, Status, Url, database, new_id
from .fetch import Answer, Known

BATCH = 200
"""How many URLs one task asks."""
LEASE = timedelta(seconds=30)
"""How long a batch is left alone that nothing is heard of."""
UNFINISHED = (Status.QUEUED, Status.RUNNING)
UNSYNCHRONIZED = {"synchronize_session": False}

# A URL that has its result keeps it, whoever else asked it too.
RECORD = update(Url).where(Url.job_id == bindparam("job"), Url.position == bindparam("at"), Url.timestamp.is_(None))


class Open(NamedTuple):
    """A URL without a result."""

    position: int
    url: str
    known: Known | None
    """What it answered in an earlier job."""


class Progress(NamedTuple):
    """How far a job is."""

    status: str
    done: int
    total: int


async def create(session: AsyncSession, owner: str, urls: Sequence[str]) -> UUID:
    """Note what is to be asked. Whoever asks for what is `unattended` finds it after the commit."""
    job = Job(id=new_id(), owner=owner, total=len(urls))
    session.add(job)
    await session.flush()
    connection = await session.connection()  # past the session, which would make an object of each row
    await connection.execute(insert(Batch), [{"job_id": job.id, "first": n} for n in range(0, len(urls), BATCH)])
    await connection.execute(insert(Url), [{"job_id": job.id, "position": n, "url": url} for n, url in enumerate(urls)])
    return job.id


async def unattended() -> list[tuple[UUID, int]]:
    """The batches, by job and first position, that nobody is at. Others find them when a lease is over."""
    now = datetime.now(UTC)
    leased = update(Batch).where(_expired(now)).values(leased_by=None, leased_until=now + LEASE)
    async with database.session() as session:
        found = await session.execute(leased.returning(Batch.job_id, Batch.first))
        return [(job, first) for job, first in found]


async def claim(job: UUID, first: int, worker: str) -> list[Open]:
    """Lease a batch and return what is open of it: nothing if another worker is at it, or if it is gone."""
    now = datetime.now(UTC)
    free = or_(Batch.leased_by.is_(None), Batch.leased_by == worker, _expired(now))
    begun = update(Job).where(Job.id == job, Job.status == Status.QUEUED).values(status=Status.RUNNING)
    leased = update(Batch).where(*_batch(job, first), free).values(leased_by=worker, leased_until=now + LEASE)
    async with database.session() as session:
        await session.execute(begun)  # the job before its batch, as whoever removes it locks them
        if (await session.execute(leased.returning(Batch.first))).first() is None:
            return []
        places = Url.position.between(first, first + BATCH - 1)
        rows = select(Url.position, Url.url).where(Url.job_id == job, places, Url.timestamp.is_(None))
        found = (await session.execute(rows)).all()
        if not found:  # who had it before was killed in between
            await session.execute(delete(Batch).where(*_batch(job, first)))
        known = await _known(session, job, {url for _, url in found})
        return [Open(position, url, known.get(url)) for position, url in found]


async def record(job: UUID, first: int, worker: str, answers: Mapping[int, Answer]) -> bool:
    """Note answers by position and go on with the lease; False, and nothing noted, if it is ours no more."""
    longer = update(Batch).values(leased_until=datetime.now(UTC) + LEASE)
    return await _record(longer.where(*_batch(job, first), Batch.leased_by == worker), job, answers)


async def finish(job: UUID, first: int, worker: str, answers: Mapping[int, Answer]) -> bool:
    """The same with the last answers of a batch, which is gone then."""
    return await _record(delete(Batch).where(*_batch(job, first), Batch.leased_by == worker), job, answers)


async def _record(lease: Update | Delete, job: UUID, answers: Mapping[int, Answer]) -> bool:
    rows = [_row(job, position, answer) for position, answer in answers.items()]
    async with database.session() as session:
        if (await session.execute(lease.returning(Batch.first))).first() is None:
            return False
        if rows:
            await (await session.connection()).execute(RECORD, rows)
        return True


async def conclude(*which: ColumnElement[bool]) -> None:
    """Note which jobs have come to their end: ready, or in error if not one URL had a status.

    After the transaction that took the last batch away, and not in it: of two that end at once, neither sees the other.
    """
    is_over = ~select(Batch.first).where(Batch.job_id == Job.id).exists()
    has_status = select(Url.position).where(Url.job_id == Job.id, Url.status.is_not(None)).exists()
    status = case((has_status, Status.READY.value), else_=Status.ERROR.value)
    async with database.session() as session:
        await session.execute(update(Job).where(Job.status.in_(UNFINISHED), is_over, *which).values(status=status))


async def forget(before: datetime) -> None:
    """Remove what was submitted before a moment."""
    async with database.session() as session:
        await session.execute(delete(Job).where(Job.created_at < before))


async def progress(job: UUID) -> Progress:
    """How far a job is; cancelled if it was removed."""
    done = select(func.count(Url.timestamp)).where(Url.job_id == Job.id).scalar_subquery()
    async with database.session() as session:
        found = (await session.execute(select(Job.status, done, Job.total).where(Job.id == job))).one_or_none()
        return Progress(*found) if found else Progress(Status.CANCELLED, 0, 0)


async def _known(session: AsyncSession, job: UUID, urls: set[str]) -> dict[str, Known]:
    """What the same owner's earlier jobs know of `urls`. It passes on to this job: of each URL, one answer is known."""
    owner = select(Job.owner).where(Job.id == job).scalar_subquery()
    theirs = select(Job.id).where(Job.owner == owner)
    known = (Url.url.in_(urls), Url.validator.is_not(None), Url.job_id.in_(theirs))
    rows = (await session.execute(select(Url.url, Url.status, Url.validator).where(*known))).all()
    if rows:
        await session.execute(update(Url).where(*known).values(validator=None), execution_options=UNSYNCHRONIZED)
    return {url: Known(status, validator) for url, status, validator in rows if validator}


def _expired(now: datetime) -> ColumnElement[bool]:
    return or_(Batch.leased_until.is_(None), Batch.leased_until < now)


def _batch(job: UUID, first: int) -> tuple[ColumnElement[bool], ...]:
    return Batch.job_id == job, Batch.first == first


def _row(job: UUID, position: int, answer: Answer) -> dict[str, Any]:
    return {
        "job": job,
        "at": position,
        "timestamp": answer.timestamp,
        "status": answer.status,
        "error": answer.error,
        "validator": answer.validator,
        "is_unchanged": answer.is_unchanged,
    }
