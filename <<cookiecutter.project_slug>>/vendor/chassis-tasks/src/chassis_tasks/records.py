"""Records: where each task stands, which keys are taken. Kept in the store, so that every process can tell."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ValidationError

from .order import Order
from .store import Store

SPARE_SECONDS = 3600.0
"""How much longer than the result the record of a task that has not ended is kept; workers renew it in time."""
SENDING_SECONDS = 10.0
"""How long a key is taken by somebody who was killed while sending."""
LONGEST_READABLE = 400
"""A record of so many bytes can always be read; what cannot has 200 brackets within each other, or 4,300 digits."""
TRIES = 20
MOST_DEATHS = 20


class Status(StrEnum):
    """Where a task stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ENDED = frozenset({Status.DONE, Status.FAILED, Status.CANCELLED, Status.EXPIRED})
FINAL = ENDED - {Status.FAILED}  # a failed one runs again when its dead letter is replayed


class TaskInfo(BaseModel, frozen=True):
    """What is known of a task; an endpoint may return it. Times are in UTC.

    `queued` also means: waits for its next attempt. `expired`: was not started before its deadline.
    """

    id: str
    task: str
    status: Status
    attempt: int
    """The attempt that it is at, from 1."""
    queued_at: datetime
    started_at: datetime | None = None
    """When its last attempt began."""
    ended_at: datetime | None = None
    progress: Any = None
    """What the task reported last, as JSON has it."""
    result: Any = None
    """What it returned, as JSON has it."""
    error: str | None = None
    """What its last attempt failed with: type and words of the exception. Of one that is done: why it has no result."""
    deaths: int = 0
    """How many workers have begun this attempt and never said how it ended."""
    is_cancelling: bool = False
    """It was told to stop, and has not yet."""


class DeadlyError(Exception):
    """Worker after worker dies of a task, as it seems."""


Change = Callable[[TaskInfo], TaskInfo | None]


class Records:
    """The records of all tasks in `store`.

    :param keep: how many seconds the record of a task that has ended is kept.
    """

    def __init__(self, store: Store, *, keep: float) -> None:
        self._store = store
        self._keep = keep
        self._life = keep + SPARE_SECONDS

    async def queued(self, order: Order) -> None:
        """Note that `order` is about to be sent; what is known of it already stays."""
        await self._store.add(_place(order.id), _packed(_queued(order)), seconds=self._life + order.delay)

    async def begun(self, order: Order) -> str:
        """Note that `order` is being worked on. Returns "" or, if it must not be, why.

        Raises DeadlyError if twenty have begun this attempt, and none has come to an end.
        """
        before = _packed(_queued(order))
        running = _with(_queued(order), status=Status.RUNNING, started_at=_now())
        if await self._store.swap(_place(order.id), before, _packed(running), seconds=self._life):
            return ""  # as nearly always: one message to the store
        refusal, deaths = "", 0

        def change(info: TaskInfo) -> TaskInfo | None:
            nonlocal refusal, deaths
            refusal = _refusal(info, order)
            deaths = info.deaths + 1 if info.status is Status.RUNNING and info.attempt == order.attempt else 0
            if info.is_cancelling:  # and its worker was killed
                return _with(info, status=Status.CANCELLED, ended_at=_now(), is_cancelling=False)
            return None if refusal else _with(running, deaths=deaths)

        if not await self._change(order.id, change) and not refusal:
            await self._put(running)  # it waited longer than records are kept
        if not refusal and deaths >= MOST_DEATHS:
            raise DeadlyError(f"{deaths} workers have begun it, and none has come to an end.")
        return refusal

    async def done(self, order: Order, started_at: datetime, result: Any, error: str | None = None) -> None:
        """Note what the task returned, whatever was said of it meanwhile: it is done.

        :param error: why there is no result, although it returned one.

        Raises ValueError for a result that cannot be kept.
        """
        ended: dict[str, Any] = {"ended_at": _now(), "result": result, "error": error}
        packed = _packed(_with(_queued(order), status=Status.DONE, started_at=started_at, **ended))
        if result is not None and len(packed) > LONGEST_READABLE:
            _refuse_unreadable(packed)
        await self._store.put(_place(order.id), packed, seconds=self._keep)

    async def ended(self, order: Order, status: Status, error: str) -> None:
        """Note how this attempt ended the task, unless another attempt has said something since."""

        def change(info: TaskInfo) -> TaskInfo | None:
            if info.attempt > order.attempt or info.status in FINAL:
                return None
            return _with(info, status=status, ended_at=_now(), error=error or info.error, is_cancelling=False)

        await self._change(order.id, change, seconds=self._keep)

    async def waits(self, order: Order, error: str) -> None:
        """Note that the task waits for `order`, its next attempt, or for this one to be taken up again."""

        def change(info: TaskInfo) -> TaskInfo | None:
            if info.attempt > order.attempt or info.status in FINAL:
                return None
            if info.attempt == order.attempt and info.status is not Status.RUNNING:
                return None
            return _with(info, status=Status.QUEUED, attempt=order.attempt, error=error or info.error, ended_at=None)

        await self._change(order.id, change, seconds=self._life + order.delay)

    async def find(self, one: str) -> TaskInfo | None:
        """What is known of a task, with its progress."""
        raw = await self._store.get(_place(one))
        if raw is None:
            return None
        info = _unpacked(raw)
        progress = await self._store.get(f"progress.{one}") if info.started_at else None
        return info if progress is None else _with(info, progress=json.loads(progress))

    async def cancel(self, one: str) -> TaskInfo | None:
        """Have a task cancelled; return what is known of it then. One that has ended stays as it is."""

        def change(info: TaskInfo) -> TaskInfo | None:
            if info.status in ENDED:
                return None
            if info.status is Status.QUEUED:
                return _with(info, status=Status.CANCELLED, ended_at=_now())
            return _with(info, is_cancelling=True)

        await self._change(one, change)
        return await self.find(one)

    async def report(self, one: str, progress: bytes) -> None:
        """Note how far a task is."""
        await self._store.put(f"progress.{one}", progress, seconds=self._life)

    async def is_cancelling(self, order: Order) -> bool:
        """Whether a running task was told to stop."""
        raw = await self._store.get(_place(order.id))
        return raw is not None and _unpacked(raw).is_cancelling

    async def renew(self, order: Order) -> None:
        """Keep the record and the key of a running task."""
        raw = await self._store.get(_place(order.id))
        if raw is not None:
            await self._store.swap(_place(order.id), raw, raw, seconds=self._life)
        if order.key:
            await self.hold_key(order)

    async def take_key(self, order: Order) -> str | None:
        """Take the key of an order that is about to be sent. Returns the id of the task that has it already.

        One that was cancelled holds it no more.
        """
        mine = order.id.encode()
        for _ in range(TRIES):
            if await self._store.add(order.key, mine, seconds=SENDING_SECONDS):
                return None
            holder = await self._store.get(order.key)
            if holder is None:
                continue
            raw = await self._store.get(_place(holder.decode()))
            if raw is None or _unpacked(raw).status is not Status.CANCELLED:
                return holder.decode()
            if await self._store.swap(order.key, holder, mine, seconds=SENDING_SECONDS):
                return None
        raise ConnectionError("the key changes hands faster than it can be taken")

    async def hold_key(self, order: Order) -> None:
        """Hold the key until the task has ended: it is sent."""
        mine = order.id.encode()
        await self._store.swap(order.key, mine, mine, seconds=self._life + order.delay)

    async def free_key(self, order: Order) -> None:
        """Give the key of a task that has ended back, when its time is over."""
        if not order.key:
            return
        mine = order.id.encode()
        if order.key_seconds:
            await self._store.swap(order.key, mine, mine, seconds=order.key_seconds)
        else:
            await self._store.remove(order.key, mine)

    async def forget(self, order: Order) -> None:
        """An order could not be sent: nothing is known of it, and its key is free."""
        await self._store.remove(_place(order.id))
        if order.key:
            await self._store.remove(order.key, order.id.encode())

    async def _change(self, one: str, change: Change, *, seconds: float | None = None) -> bool:
        """Replace a record by what `change` makes of it; return whether that was done."""
        for _ in range(TRIES):
            raw = await self._store.get(_place(one))
            new = None if raw is None else change(_unpacked(raw))
            if raw is None or new is None:
                return False
            if await self._store.swap(_place(one), raw, _packed(new), seconds=seconds or self._life):
                return True
        raise ConnectionError(f"the record of task {one} changes faster than it can be written")

    async def _put(self, info: TaskInfo) -> None:
        await self._store.put(_place(info.id), _packed(info), seconds=self._life)


def key_of(task: str, key: str) -> str:
    """The store's key for the team's `key` of a task, whatever characters that has."""
    digest = hashlib.blake2b(f"{task}\0{key}".encode("utf-8", "surrogatepass"), digest_size=20)
    return f"key.{digest.hexdigest()}"


def _refusal(info: TaskInfo, order: Order) -> str:
    if info.status in FINAL:
        return f"it is {info.status} already"
    if info.is_cancelling:
        return "it was cancelled"
    return "a later attempt is under way" if info.attempt > order.attempt else ""


def _place(one: str) -> str:
    safe = one.isascii() and one.replace("-", "").isalnum() and len(one) <= 100
    return f"task.{one}" if safe else f"task.{hashlib.blake2b(one.encode(), digest_size=20).hexdigest()}"


def _queued(order: Order) -> TaskInfo:
    sent = datetime.fromtimestamp(order.sent_at, UTC)
    return TaskInfo(id=order.id, task=order.task, status=Status.QUEUED, attempt=order.attempt, queued_at=sent)


def _with(info: TaskInfo, **changes: Any) -> TaskInfo:
    return info.model_copy(update=changes)


def _packed(info: TaskInfo) -> bytes:
    return info.model_dump_json(exclude_defaults=True).encode()


def _unpacked(raw: bytes) -> TaskInfo:
    return TaskInfo.model_validate_json(raw)


def _refuse_unreadable(raw: bytes) -> None:
    # What is written and cannot be read, such as an integer of 5,000 digits, would hide all that is known of the task.
    try:
        _unpacked(raw)
    except ValidationError as error:
        raise ValueError(f"it could not be read again: {error.errors(include_input=False)[0]['msg']}") from None


def _now() -> datetime:
    return datetime.now(UTC)
