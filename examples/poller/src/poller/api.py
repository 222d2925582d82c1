"""The service's endpoints."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import AfterValidator, BaseModel, Field
from sqlalchemy import delete, select

from chassis import ProblemError, problems
from chassis_auth import Caller, requires
from chassis_database import Session
from chassis_tasks import TasksUnavailableError

from . import jobs
from .auth import READ, WRITE
from .database import Job, Status, Url
from .guard import MOST_BYTES, Error, RefusedError, parsed
from .tasks import share_out

MOST_URLS = 10_000
LOOK_SECONDS = 0.5
STREAM_SECONDS = 15.0
"""How long a stream lasts; who watches comes again. A process that is to end waits no longer for it."""

log = logging.getLogger(__name__)
router = APIRouter(prefix="/api/v1")


def _askable(text: str) -> str:
    try:
        parsed(text)
    except RefusedError as error:
        raise ValueError(str(error)) from None
    return text


Askable = Annotated[
    str,
    AfterValidator(_askable),
    Field(json_schema_extra={"pattern": "^https?://[^ ]+$", "maxLength": MOST_BYTES}),
]


class Submission(BaseModel):
    """What is to be asked. A URL that is in it twice is asked once."""

    urls: Annotated[
        list[Askable],
        Field(min_length=1, max_length=MOST_URLS, examples=[["https://example.com/"]]),
    ]


class Submitted(BaseModel):
    task_id: UUID


class Progress(BaseModel):
    done: int
    total: int


class Update(BaseModel):
    """An event of a task's progress; the last one has a status that is neither queued nor running."""

    status: Status
    progress: Progress


class Task(BaseModel):
    task_id: UUID
    status: Status
    created_at: datetime
    total: int


class Tasks(BaseModel):
    """The newest tasks first; `next` is the cursor of the page after this one."""

    tasks: list[Task]
    next: UUID | None


class Result(BaseModel):
    """What a URL answered: its status, or an error."""

    timestamp: datetime
    status: int | None
    error: Error | None
    is_unchanged: bool


class TaskWithResult(Task, Update):
    """`result` has the URLs that have one already."""

    result: dict[str, Result]


class NoTaskError(ProblemError):
    """There is no such task, or it is somebody else's."""

    status = 404
    title = "No such task"


Reader = Annotated[Caller, requires(READ)]
Writer = Annotated[Caller, requires(WRITE)]


async def _own(task_id: UUID, caller: Reader, session: Session) -> Job:
    job = await session.scalar(select(Job).where(Job.id == task_id, Job.owner == caller.subject))
    if job is None:
        raise NoTaskError
    return job


OwnJob = Annotated[Job, Depends(_own, scope="function")]


@router.post("/submit", status_code=202)
async def submit(submission: Submission, caller: Writer, session: Session, response: Response) -> Submitted:
    """Have up to 10,000 URLs asked."""
    job = await jobs.create(session, caller.subject, list(dict.fromkeys(submission.urls)))
    await session.commit()
    try:
        await share_out.enqueue()
    except TasksUnavailableError:
        log.warning("a job waits until the queue is back", extra={"job": str(job)})  # it is in the database
    response.headers["location"] = f"tasks/{job}"
    return Submitted(task_id=job)


@router.get("/tasks")
async def tasks(
    caller: Reader,
    session: Session,
    status: Status | None = None,
    cursor: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Tasks:
    """List your tasks, the newest first."""
    found = select(Job).where(Job.owner == caller.subject).order_by(Job.id.desc()).limit(limit + 1)
    if status:
        found = found.where(Job.status == status)
    if cursor:
        found = found.where(Job.id < cursor)
    page = (await session.scalars(found)).all()
    rest = page[limit - 1].id if len(page) > limit else None
    return Tasks(tasks=[Task(**_described(job)) for job in page[:limit]], next=rest)


@router.get("/tasks/{task_id}", responses=problems(NoTaskError))
async def task(job: OwnJob, session: Session) -> TaskWithResult:
    """Show a task, with the results that are there already."""
    rows = await session.scalars(
        select(Url).where(Url.job_id == job.id, Url.timestamp.is_not(None)).order_by(Url.position)
    )
    result = {row.url: Result.model_validate(row, from_attributes=True) for row in rows}
    progress = Progress(done=len(result), total=job.total)
    return TaskWithResult(**_described(job), progress=progress, result=result)


@router.get("/tasks/{task_id}/progress", responses=problems(NoTaskError), response_class=EventSourceResponse)
async def progress(job: OwnJob) -> AsyncIterator[ServerSentEvent]:
    """Watch a task: events called `progress`, until it is done. A stream ends after 15 seconds: ask again."""
    until, last = time.monotonic() + STREAM_SECONDS, None
    while last is None or (last.status in jobs.UNFINISHED and time.monotonic() < until):
        now = await jobs.progress(job.id)
        if now != last:
            update = Update(status=now.status, progress=Progress(done=now.done, total=now.total))
            yield ServerSentEvent(event="progress", data=update)
        last = now
        await asyncio.sleep(LOOK_SECONDS)


@router.delete("/tasks/{task_id}", status_code=204, responses=problems(NoTaskError))
async def remove(task_id: UUID, caller: Writer, session: Session) -> None:
    """Cancel a task if it is not done, and remove it."""
    gone = delete(Job).where(Job.id == task_id, Job.owner == caller.subject).returning(Job.id)
    if (await session.scalar(gone)) is None:
        raise NoTaskError


def _described(job: Job) -> dict[str, object]:
    return {"task_id": job.id, "status": job.status, "created_at": job.created_at, "total": job.total}
