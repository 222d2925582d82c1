"""What the queues in Redis and in NATS share: their servers hand out as many messages as they are asked for."""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, Generic, TypeVar

from chassis.process.lifecycle import ended

from .queue import Delivery, Queue

Fetched = TypeVar("Fetched")


class Ahead(Generic[Fetched]):
    """What one listener has fetched and not yet handed out."""

    def __init__(self) -> None:
        self.fetched: deque[Fetched] = deque()
        self.is_closing = False
        """Whether nobody listens any more."""
        self.news = asyncio.Event()
        """Set whenever there is something new, or no more to come."""

    async def first(self, fetching: asyncio.Task[None]) -> Fetched:
        """Take the first, once there is one. Raises what ended `fetching`."""
        while not self.fetched:
            if fetching.done():
                fetching.result()
            self.news.clear()
            await self.news.wait()
        return self.fetched.popleft()


class FetchingQueue(Queue, Generic[Fetched]):
    """Fetches messages ahead, and tells the server again and again that they are worked on."""

    def __init__(self, *, url: str, name: str, prefetch: int, lease_seconds: float) -> None:
        super().__init__(url=url, name=name, prefetch=prefetch, lease_seconds=lease_seconds)
        self._held: dict[Any, Fetched] = {}
        """What is in the hands of this process, by its name."""
        self._is_closed = False
        self._room = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()
        self._keeping: asyncio.Task[None] | None = None

    @abstractmethod
    async def _fetch(self, ahead: Ahead[Fetched]) -> None:
        """Hold messages, as many as there is room for, until `ahead` is closing. Raises ConnectionError."""

    @abstractmethod
    async def _keep(self) -> None:
        """Tell the server, for ever, that what is held is worked on."""

    @abstractmethod
    async def _give_back(self, fetched: Fetched) -> None:
        """Let go of a message, and have it handed out again at once. Raises ConnectionError."""

    @abstractmethod
    def _name(self, fetched: Fetched) -> Any:
        """What the server calls a message."""

    @abstractmethod
    def _delivery(self, fetched: Fetched) -> Delivery:
        """A message, as it is handed out."""

    async def shutdown(self) -> None:
        self._is_closed = True
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._keeping:
            await ended(self._keeping)

    async def listen(self) -> AsyncGenerator[Delivery, None]:
        if self._keeping is None:  # it goes on when nobody listens any more, but some are still worked on
            self._keeping = asyncio.create_task(self._keep())
        ahead = Ahead[Fetched]()
        fetching = asyncio.create_task(self._fetch(ahead))
        fetching.add_done_callback(lambda _: ahead.news.set())
        try:
            while True:
                yield self._delivery(await ahead.first(fetching))
        finally:
            ahead.is_closing = True
            self._room.set()
            # A task of its own: whoever is cancelled may be so again while it waits here.
            ending = asyncio.create_task(self._end(fetching, ahead))
            self._closing.add(ending)
            ending.add_done_callback(self._closing.discard)
            await asyncio.shield(ending)

    async def _spare(self) -> int:
        """How many more messages may be held; 0 after a wait, when that may have changed."""
        spare = self.prefetch - len(self._held)
        if spare <= 0:
            self._room.clear()
            await self._room.wait()
        return max(0, spare)

    def _hold(self, fetched: Fetched, ahead: Ahead[Fetched]) -> None:
        self._held[self._name(fetched)] = fetched
        ahead.fetched.append(fetched)
        ahead.news.set()

    def _let_go(self, fetched: Fetched) -> bool:
        """Hold it no more. Returns whether it was held."""
        self._room.set()
        return self._held.pop(self._name(fetched), None) is not None

    async def _end(self, fetching: asyncio.Task[None], ahead: Ahead[Fetched]) -> None:
        # Not cancelled: what the server has sent by then would be lost until the lease is over.
        await asyncio.gather(fetching, return_exceptions=True)
        with contextlib.suppress(ConnectionError):  # then they come back when their lease is over
            while ahead.fetched:
                await self._give_back(ahead.fetched.popleft())
        for fetched in ahead.fetched:
            self._let_go(fetched)
