"""The queue that is the default: it lives and dies with the process."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import time
from collections import deque
from collections.abc import AsyncGenerator, Collection
from datetime import UTC, datetime
from typing import NamedTuple

from .queue import Buried, Delivery, Queue

MOST = 100_000
"""How many messages it takes: they lie in the process' memory."""


class _Message(NamedTuple):
    number: int
    data: bytes
    handed_out: int = 0


class MemoryQueue(Queue):
    """Hands tasks from one part of a process to another: nothing outlives it, and no other process sees any of it."""

    def __init__(self, *, url: str, name: str, prefetch: int, lease_seconds: float) -> None:
        super().__init__(url=url, name=name, prefetch=prefetch, lease_seconds=lease_seconds)
        self._ready: deque[_Message] = deque()
        self._later: list[tuple[float, _Message]] = []
        self._letters: dict[str, tuple[Buried, _Message]] = {}
        self._held: dict[int, _Message] = {}
        self._news = asyncio.Event()
        self._numbers = itertools.count(1)

    async def startup(self) -> None:
        pass

    async def shutdown(self) -> None:
        pass

    async def put(self, data: bytes, *, delay: float = 0) -> None:
        if self.left() >= MOST:
            raise ConnectionError(f"{MOST} tasks wait in memory; no more fit")
        self._put(_Message(next(self._numbers), data), delay)

    async def listen(self) -> AsyncGenerator[Delivery, None]:
        while True:
            self._news.clear()
            wait = self._ripen()
            if self._ready:
                yield self._hand_out(self._ready.popleft())
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._news.wait()

    async def ping(self) -> None:
        pass

    async def depth(self) -> int:
        self._ripen()
        return len(self._ready)

    async def buried(self, limit: int = 100) -> list[Buried]:
        return [letter for letter, _ in itertools.islice(self._letters.values(), limit)]

    async def replay(self, ids: Collection[str] | None = None) -> int:
        chosen = [one for one in self._letters if ids is None or one in ids]
        for one in chosen:
            self._put(self._letters.pop(one)[1]._replace(handed_out=0), 0)
        return len(chosen)

    def left(self) -> int:
        """How many messages are lost if the process ends now, the dead letters aside."""
        return len(self._ready) + len(self._later) + len(self._held)

    def _put(self, message: _Message, seconds: float) -> None:
        if seconds > 0:
            heapq.heappush(self._later, (time.monotonic() + seconds, message))
        else:
            self._ready.append(message)
        self._news.set()

    def _ripen(self) -> float | None:
        # Returns how long nothing more will be ready.
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[1])
        return self._later[0][0] - now if self._later else None

    def _hand_out(self, message: _Message) -> Delivery:
        held = message._replace(handed_out=message.handed_out + 1)
        self._held[held.number] = held

        async def ack() -> None:
            self._held.pop(held.number, None)

        async def release(seconds: float) -> None:
            if self._held.pop(held.number, None):
                self._put(held, seconds)

        async def bury(reason: str) -> None:
            if self._held.pop(held.number, None):
                one = str(held.number)
                self._letters[one] = Buried(one, held.data, reason, datetime.now(UTC)), held

        return Delivery(data=held.data, ack=ack, attempt=held.handed_out, release=release, bury=bury)
