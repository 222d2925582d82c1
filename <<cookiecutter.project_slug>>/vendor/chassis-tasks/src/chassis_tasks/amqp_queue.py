"""The queue in RabbitMQ: a quorum queue, one for each delay that is used, and one of dead letters."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, Collection, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

import aio_pika
from aiormq.exceptions import AMQPError, ChannelInvalidStateError

from .insisting import ANSWER_SECONDS, CONNECT_SECONDS, insisting
from .queue import Buried, Delivery, Queue

LINGER_SECONDS = 60
"""How long the queue of a delay stays after the last message in it."""
MOST_LETTERS = 10_000
"""So many dead letters are looked at, at most."""
ATTEMPT, REASON, MOMENT = "chassis-attempt", "chassis-reason", "chassis-moment"
# RabbitMQ 4 drops a message that was handed out 20 times, unless told otherwise.
LASTING = {"x-queue-type": "quorum", "x-delivery-limit": 1_000_000_000}

# It would log an error for each attempt to connect; who is refused says so.
logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)


class AmqpQueue(Queue):
    """What waits is in a durable queue that is written to disk. A message is a consumer's for as long as it lives."""

    def __init__(self, *, url: str, name: str, prefetch: int, lease_seconds: float) -> None:
        super().__init__(url=url, name=name, prefetch=prefetch, lease_seconds=lease_seconds)
        self._dead = f"{name}.dead"
        self._connecting = asyncio.Lock()
        self._connection: Any = None
        self._sending: Any = None
        self._held: set[int] = set()

    async def startup(self) -> None:
        with contextlib.suppress(ConnectionError):  # a server that is away may come; readiness tells
            await self._channel()

    async def shutdown(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(ConnectionError), _told_plainly():
                await self._connection.close()

    async def put(self, data: bytes, *, delay: float = 0) -> None:
        await self._send(data, 0, delay)

    async def listen(self) -> AsyncGenerator[Delivery, None]:
        fetched: deque[Any] = deque()
        news = asyncio.Event()

        async def take(message: Any) -> None:
            self._held.add(id(message))
            fetched.append(message)
            news.set()

        await self._channel()
        with _told_plainly():
            channel = await self._connection.channel(publisher_confirms=False)
            await channel.set_qos(prefetch_count=self.prefetch)
            queue = await channel.get_queue(self.name, ensure=False)
            tag = await queue.consume(take)
        channel.close_callbacks.add(lambda *_: news.set())
        try:
            while True:
                while not fetched:
                    if channel.is_closed:
                        raise ConnectionError("RabbitMQ: the connection was closed")
                    news.clear()
                    await news.wait()
                yield self._delivery(fetched.popleft())
        finally:
            await asyncio.shield(self._end(queue, tag, fetched))

    async def ping(self) -> None:
        channel = await self._channel()
        with _told_plainly():
            async with asyncio.timeout(ANSWER_SECONDS):
                await channel.declare_queue(self.name, passive=True)

    async def depth(self) -> int:
        channel = await self._channel()
        with _told_plainly():
            queue = await channel.declare_queue(self.name, passive=True)
        return int(queue.declaration_result.message_count)

    async def buried(self, limit: int = 100) -> list[Buried]:
        async with self._letters() as letters:
            return [_letter(one) for one in letters[:limit]]

    async def replay(self, ids: Collection[str] | None = None) -> int:
        count = 0
        async with self._letters() as letters:
            for one in letters:
                if ids is None or one.message_id in ids:
                    await self._send(one.body, 0, 0)
                    with _told_plainly():
                        await one.ack()
                    count += 1
        return count

    async def _channel(self) -> Any:
        """The channel for sending and asking, with what the queue needs made. Raises ConnectionError."""
        async with self._connecting:
            with _told_plainly():
                if self._connection is None or not self._connection.connected.is_set():
                    self._connection = await aio_pika.connect(self.url, timeout=CONNECT_SECONDS)
                    self._sending = None
                if self._sending is None or self._sending.is_closed:
                    self._sending = await self._connection.channel(publisher_confirms=True, on_return_raises=True)
                    for name in (self.name, self._dead):
                        await self._sending.declare_queue(name, durable=True, arguments=LASTING)
            return self._sending

    async def _send(self, data: bytes, attempt: int, delay: float) -> None:
        await self._publish(await self._place(delay), data, {ATTEMPT: attempt})

    async def _publish(self, place: str, data: bytes, headers: dict[str, Any]) -> None:
        channel = await self._channel()
        message = aio_pika.Message(
            data,
            headers=headers,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=uuid4().hex,
        )
        with _told_plainly():
            await channel.default_exchange.publish(message, place, timeout=ANSWER_SECONDS)

    async def _place(self, delay: float) -> str:
        """The queue to send to: for a delay, one whose messages all wait as long, and then go to the main one.

        In one queue for all delays, a long one would hold up the shorter ones behind it.
        """
        milliseconds = _rounded(delay)
        if not milliseconds:
            return self.name
        name = f"{self.name}.delayed.{milliseconds}"
        channel = await self._channel()
        with _told_plainly():
            await channel.declare_queue(
                name,
                durable=True,
                arguments={
                    **LASTING,
                    "x-dead-letter-exchange": "",
                    "x-dead-letter-routing-key": self.name,
                    # Not gone from here before it is there.
                    "x-dead-letter-strategy": "at-least-once",
                    "x-overflow": "reject-publish",
                    "x-message-ttl": milliseconds,
                    "x-expires": milliseconds + LINGER_SECONDS * 1000,
                },
            )
        return name

    def _delivery(self, message: Any) -> Delivery:
        return Delivery(
            data=message.body,
            attempt=_attempt(message),
            ack=partial(self._ack, message),
            release=partial(self._release, message),
            bury=partial(self._bury, message),
        )

    async def _ack(self, message: Any) -> None:
        if id(message) in self._held:
            try:
                with _told_plainly():
                    await message.ack()
            finally:
                self._let_go(message)

    async def _release(self, message: Any, seconds: float) -> None:
        if id(message) not in self._held:
            return
        try:
            await self._send(message.body, _attempt(message), seconds)
        except ConnectionError:  # if only the sending failed, it would be ours until this process ends
            if self._let_go(message):
                with contextlib.suppress(ConnectionError), _told_plainly():
                    await message.nack(requeue=True)
            raise
        await self._ack(message)

    async def _bury(self, message: Any, reason: str) -> None:
        if id(message) in self._held:
            send = partial(self._publish, self._dead, message.body, {REASON: reason, MOMENT: time.time()})
            # What was handed out over a channel that is closed is another's by now.
            await insisting(send, self.lease_seconds, is_vain=lambda: message.channel.is_closed)
            with _told_plainly():
                await message.ack()
            self._let_go(message)

    def _let_go(self, message: Any) -> bool:
        held = id(message) in self._held
        self._held.discard(id(message))
        return held

    async def _end(self, queue: Any, tag: str, fetched: deque[Any]) -> None:
        """Take no more, and give back what was not handed out. The channel stays: others are still worked on."""
        with contextlib.suppress(ConnectionError), _told_plainly():
            async with asyncio.timeout(ANSWER_SECONDS):
                await queue.cancel(tag)
        while fetched:
            message = fetched.popleft()
            if self._let_go(message):
                with contextlib.suppress(ConnectionError), _told_plainly():
                    await message.nack(requeue=True)

    @contextlib.asynccontextmanager
    async def _letters(self) -> Any:
        """The dead letters, taken out; those that are not acknowledged go back."""
        letters: list[Any] = []
        await self._channel()
        with _told_plainly():
            channel = await self._connection.channel(publisher_confirms=False)
        try:
            with _told_plainly():
                queue = await channel.get_queue(self._dead, ensure=False)
                while len(letters) < MOST_LETTERS and (one := await queue.get(fail=False)):
                    letters.append(one)
            letters.sort(key=_moment)  # what goes back goes to the end
            yield letters
        finally:
            with contextlib.suppress(ConnectionError), _told_plainly():
                await channel.close()


@contextlib.contextmanager
def _told_plainly() -> Iterator[None]:
    """Inside, a server that cannot be used is Python's ConnectionError."""
    try:
        yield
    except ConnectionError:
        raise
    # aiormq raises RuntimeError for a connection that was lost meanwhile.
    except (AMQPError, ChannelInvalidStateError, OSError, RuntimeError, TimeoutError) as error:
        raise ConnectionError(f"RabbitMQ: {type(error).__name__}") from error


def _attempt(message: Any) -> int:
    counted = message.headers.get(ATTEMPT, 0), message.headers.get("x-delivery-count", 0)
    return 1 + sum(int(number) for number in counted)


def _rounded(seconds: float) -> int:
    """Milliseconds, to two digits and never less: each delay has a queue, and there are not to be many."""
    milliseconds = math.ceil(max(seconds, 0) * 1000)
    if not milliseconds:
        return 0
    step = 10 ** max(0, len(str(milliseconds)) - 2)
    return int(math.ceil(milliseconds / step) * step)


def _moment(message: Any) -> float:
    return float(message.headers.get(MOMENT, 0))


def _letter(message: Any) -> Buried:
    at = datetime.fromtimestamp(_moment(message), UTC)
    return Buried(str(message.message_id), message.body, str(message.headers.get(REASON, "")), at)
