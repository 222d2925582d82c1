"""The tables, and the database that they live in: what is to be asked, who is at it, and what came of it."""

import time
from datetime import UTC, datetime
from enum import StrEnum
from secrets import randbits
from uuid import UUID

from sqlalchemy import ForeignKey, Index, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from chassis_database import NAMING_CONVENTION, Database, UtcDateTime

from .fetch import MOST_VALIDATOR
from .guard import MOST_BYTES


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012 - SQLAlchemy reads it from the class


class Status(StrEnum):
    """Where a job stands. `cancelled` is what those hear who watch a job that is removed before its end."""

    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    ERROR = "error"
    CANCELLED = "cancelled"


def new_id() -> UUID:
    """A UUID of version 7: later ones are greater, so that a list in their order can be paged."""
    return UUID(int=(time.time_ns() // 1_000_000) << 80 | 7 << 76 | randbits(12) << 64 | 2 << 62 | randbits(62))


class Job(Base):
    """What somebody submitted."""

    __tablename__ = "jobs"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    owner: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=lambda: datetime.now(UTC))
    status: Mapped[str] = mapped_column(String(16), default=Status.QUEUED)
    total: Mapped[int]

    __table_args__ = (Index("ix_jobs_owner_id", "owner", "id"),)


class Batch(Base):
    """Some URLs of a job, from position `first` on, until all of them have a result.

    It is leased, so that what a process leaves behind that dies is taken up by another.
    """

    __tablename__ = "batches"

    job_id: Mapped[UUID] = mapped_column(ForeignKey(Job.id, ondelete="CASCADE"), primary_key=True)
    first: Mapped[int] = mapped_column(primary_key=True)
    leased_by: Mapped[str | None] = mapped_column(String(64))
    leased_until: Mapped[datetime | None]


class Url(Base):
    """One URL of a job, and what it answered; it has its one result when it has a timestamp."""

    __tablename__ = "urls"

    job_id: Mapped[UUID] = mapped_column(ForeignKey(Job.id, ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    url: Mapped[str] = mapped_column(String(MOST_BYTES))
    timestamp: Mapped[datetime | None]
    status: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(String(32))
    validator: Mapped[str | None] = mapped_column(String(MOST_VALIDATOR))
    is_unchanged: Mapped[bool] = mapped_column(default=False)


KNOWN = Url.validator.is_not(None)
Index("ix_urls_known", Url.url, postgresql_where=KNOWN, sqlite_where=KNOWN)

database = Database(package=__package__, metadata=Base.metadata)
