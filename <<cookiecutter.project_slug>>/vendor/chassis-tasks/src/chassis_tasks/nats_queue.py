"""The queue in NATS: a JetStream work queue with one durable consumer, and a stream of dead letters."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote, unquote

from nats.errors import MsgAlreadyAckdError
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import BadRequestError, NotFoundError

from .fetching_queue import Ahead, FetchingQueue
from .insisting import insisting
from .nats_connection import NatsConnection, told_plainly
from .queue import Buried, Delivery

CONSUMER = "workers"
WAIT_SECONDS = 0.5
"""How long the server waits for a message, which is also how long a stop may take."""
AT_ONCE = 100
BEATS = 3  # a lease
NOT_BEFORE, ATTEMPT, REASON = "Chassis-Not-Before", "Chassis-Attempt", "Chassis-Reason"


@dataclass
class _Batch:
    """What the server was asked for."""

    inbox: str
    left: int = 0
    """How many messages are to come."""
    status: str = ""
    """Why no more come: 408 if the time is over, 404 if there are none; "" while they come."""
    over: asyncio.Event = field(default_factory=asyncio.Event)


class NatsQueue(FetchingQueue[Any]):
    """What waits is in a stream of its own, from which a message goes when it is acknowledged."""

    def __init__(self, *, url: str, name: str, prefetch: int, lease_seconds: float) -> None:
        super().__init__(url=url, name=name, prefetch=prefetch, lease_seconds=lease_seconds)
        self._connection = NatsConnection(url)
        self._subject, self._dead_subject = f"{name}.queue", f"{name}.dead"
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{name}.{CONSUMER}"
        self._dead = f"{name}-dead"
        self._is_made = False

    async def startup(self) -> None:
        with contextlib.suppress(ConnectionError):  # a server that is away may come; readiness tells
            await self._stream()

    async def shutdown(self) -> None:
        await super().shutdown()
        await self._connection.close()

    async def put(self, data: bytes, *, delay: float = 0) -> None:
        await self._send(self._subject, data, _later(delay))

    async def ping(self) -> None:
        with told_plainly():
            await (await self._stream()).stream_info(self.name)

    async def depth(self) -> int:
        with told_plainly():
            about = await (await self._stream()).consumer_info(self.name, CONSUMER)
        return int(about.num_pending)

    async def buried(self, limit: int = 100) -> list[Buried]:
        return [
            Buried(str(one.seq), one.data or b"", unquote((one.headers or {}).get(REASON, "")), one.time)
            for one in await self._letters(limit)
        ]

    async def replay(self, ids: Collection[str] | None = None) -> int:
        stream = await self._stream()
        if ids is None:
            letters = await self._letters(None)
        else:
            found = [await self._letter(int(one)) for one in dict.fromkeys(ids) if one.isdecimal()]
            letters = [one for one in found if one]
        for one in letters:
            await self._send(self._subject, one.data or b"", {})
            with told_plainly():
                await stream.delete_msg(self._dead, one.seq)
        return len(letters)

    async def _stream(self) -> Any:
        """JetStream, with what the queue needs made in it."""
        stream = await self._connection.stream()
        if not self._is_made:
            with told_plainly():
                await self._make(stream)
            self._is_made = True
        return stream

    async def _make(self, stream: Any) -> None:
        for name, subject, retention in (
            (self.name, self._subject, RetentionPolicy.WORK_QUEUE),
            (self._dead, self._dead_subject, RetentionPolicy.LIMITS),
        ):
            config = StreamConfig(
                name=name, subjects=[subject], retention=retention, storage=StorageType.FILE, allow_direct=True
            )
            with contextlib.suppress(BadRequestError):  # it is there, perhaps as an operator has changed it
                await stream.add_stream(config)
        consumer = ConsumerConfig(
            durable_name=CONSUMER,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=self.lease_seconds,
            max_deliver=-1,  # when to give up is not the server's to say: it would drop the message
            max_ack_pending=-1,  # delayed messages count, too
            max_waiting=10_000,
        )
        await stream.add_consumer(self.name, consumer)

    async def _send(self, subject: str, data: bytes, headers: dict[str, str]) -> None:
        stream = await self._stream()
        with told_plainly():
            try:
                await stream.publish(subject, data, headers=headers or None)
            except NotFoundError:  # somebody has emptied the server
                self._is_made = False
                await (await self._stream()).publish(subject, data, headers=headers or None)

    async def _fetch(self, ahead: Ahead[Any]) -> None:
        await self._stream()
        client = await self._connection.client()
        batch = _Batch(client.new_inbox())
        # Not by nats-py's fetch: that waits for the rest of a batch when it could hand the first over.
        with told_plainly():
            subscription = await client.subscribe(batch.inbox, cb=partial(self._take, ahead, batch))
            try:
                while not ahead.is_closing:
                    if spare := await self._spare():
                        await self._ask(client, batch, min(spare, AT_ONCE))
            finally:
                # Or it would come back with the connection, and take what nobody hands out.
                await subscription.unsubscribe()

    async def _take(self, ahead: Ahead[Any], batch: _Batch, message: Any) -> None:
        batch.left -= 1
        batch.status = (message.headers or {}).get("Status", "")
        if batch.status:
            batch.left = 0
        elif (early := _early(message)) > 0:
            await message.nak(delay=early)
        else:
            self._hold(message, ahead)
        if batch.left <= 0:
            batch.over.set()

    async def _ask(self, client: Any, batch: _Batch, count: int) -> None:
        batch.left = count
        batch.over.clear()
        await client.publish(self._next, _asked(count), reply=batch.inbox)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(WAIT_SECONDS * 2):
                await batch.over.wait()
        await self._connection.client()  # raises if it is gone
        if batch.status not in {"", "404", "408"}:  # somebody has emptied the server, or it is starting
            await asyncio.sleep(WAIT_SECONDS)
            self._is_made = False
            await self._stream()

    def _name(self, fetched: Any) -> str:
        return str(fetched.reply)

    def _delivery(self, fetched: Any) -> Delivery:
        return Delivery(
            data=fetched.data,
            attempt=_attempt(fetched),
            ack=partial(self._ack, fetched),
            release=partial(self._release, fetched),
            bury=partial(self._bury, fetched),
        )

    async def _ack(self, message: Any) -> None:
        if message.reply in self._held:
            try:
                await _said(message.ack())
            finally:  # held no more, even if the server does not hear of it: then the lease ends
                self._let_go(message)

    async def _release(self, message: Any, seconds: float) -> None:
        if message.reply in self._held:
            # Not by a nak with a delay: NATS 2.9 forgets now and then how often it has delivered such a message.
            headers = {**_later(seconds), ATTEMPT: str(_attempt(message))}
            try:
                await self._send(self._subject, message.data, headers)
            finally:
                self._let_go(message)
            await _said(message.ack())

    async def _bury(self, message: Any, reason: str) -> None:
        if message.reply in self._held:
            # A header is one line of ASCII.
            send = partial(self._send, self._dead_subject, message.data, {REASON: quote(reason)})
            await insisting(send, self.lease_seconds, is_vain=lambda: self._is_closed)
            await _said(message.ack())
            self._let_go(message)

    async def _give_back(self, fetched: Any) -> None:
        self._let_go(fetched)
        await _said(fetched.nak())

    async def _keep(self) -> None:
        # Tells the server that what is held is worked on.
        while True:
            await asyncio.sleep(self.lease_seconds / BEATS)
            for message in [*self._held.values()]:
                with contextlib.suppress(ConnectionError):
                    await _said(message.in_progress())

    async def _letters(self, limit: int | None) -> list[Any]:
        stream = await self._stream()
        with told_plainly():
            state = (await stream.stream_info(self._dead)).state
            number, letters = int(state.first_seq), list[Any]()
            while number <= state.last_seq and (limit is None or len(letters) < limit):
                try:
                    letter = await stream.get_msg(self._dead, seq=number, subject=self._dead_subject, next=True)
                except NotFoundError:
                    break
                letters.append(letter)
                number = letter.seq + 1
        return letters

    async def _letter(self, number: int) -> Any:
        stream = await self._stream()
        with told_plainly():
            try:
                return await stream.get_msg(self._dead, seq=number)
            except NotFoundError:
                return None


def _asked(count: int) -> bytes:
    return json.dumps({"batch": count, "expires": int(WAIT_SECONDS * 1e9)}).encode()


async def _said(word: Any) -> None:
    with told_plainly(), contextlib.suppress(MsgAlreadyAckdError):
        await word


def _early(message: Any) -> float:
    """How many seconds before its time a message came."""
    not_before = (message.headers or {}).get(NOT_BEFORE)
    return float(not_before) - time.time() if not_before else 0


def _attempt(message: Any) -> int:
    headers = message.headers or {}
    delivered = int(message.metadata.num_delivered)
    if NOT_BEFORE in headers:  # it came once before its time
        delivered = max(1, delivered - 1)
    return int(headers.get(ATTEMPT, 0)) + delivered


def _later(seconds: float) -> dict[str, str]:
    """The headers of a message that is not to be worked on for so long."""
    return {NOT_BEFORE: f"{time.time() + seconds:.3f}"} if seconds > 0 else {}
