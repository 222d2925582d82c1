"""The queue: what carries messages from whoever asks for work to whoever does it, whatever server is behind it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple


@dataclass(frozen=True)
class Delivery:
    """One message in the hands of a worker, until it is acknowledged, given back or buried.

    Each of the three is final, and one that comes second does nothing. What could not be acknowledged or given back is
    let go all the same, and comes again when its lease is over; what could not be buried is still in hand.
    """

    data: bytes
    attempt: int
    """How often the message was handed out, this time included; 1 where the server does not count."""
    ack: Callable[[], Awaitable[None]]
    """Acknowledge it: it is done, and gone."""
    release: Callable[[float], Awaitable[None]]
    """Give it back: it is handed out again, to any worker, in so many seconds or later; 0 is at once."""
    bury: Callable[[str], Awaitable[None]]
    """Put it to the dead letters, with the reason, one sentence."""


class Buried(NamedTuple):
    """A message that nobody could work on."""

    id: str
    """What `replay` takes."""
    data: bytes
    reason: str
    at: datetime
    """When it was buried, in UTC."""


class Queue(ABC):
    """A queue that loses nothing: a message is handed out until somebody acknowledges or buries it.

    It may be handed out twice, never not at all. What one worker holds and does not finish, because it was killed,
    comes back `lease_seconds` after its last sign of life, on an idle queue too; a worker that lives keeps its messages
    however long they take.

    :param url: of the server.
    :param name: of the queue; what is on the server bears it.
    :param prefetch: how many messages one worker may hold.
    :param lease_seconds: how long a worker may be silent.

    Every method raises ConnectionError when the server cannot be reached, but `startup`.
    """

    def __init__(self, *, url: str, name: str, prefetch: int, lease_seconds: float) -> None:
        self.url = url
        self.name = name
        self.prefetch = prefetch
        self.lease_seconds = lease_seconds

    @abstractmethod
    async def startup(self) -> None:
        """Connect, if the server is there. One that is away may come."""

    @abstractmethod
    async def shutdown(self) -> None:
        """Close the connections. The messages stay."""

    @abstractmethod
    async def put(self, data: bytes, *, delay: float = 0) -> None:
        """Put a message in, to be handed out in `delay` seconds."""

    @abstractmethod
    def listen(self) -> AsyncGenerator[Delivery, None]:
        """Take messages, oldest first, for as long as it is iterated.

        Closing the generator, or cancelling whoever waits for its next message, gives back, at once, everything that
        was fetched and not yet handed out.
        """

    @abstractmethod
    async def ping(self) -> None:
        """Raise unless messages can be sent now."""

    @abstractmethod
    async def depth(self) -> int:
        """How many messages wait, without those in the hands of workers and without the delayed ones."""

    @abstractmethod
    async def buried(self, limit: int = 100) -> list[Buried]:
        """The dead letters, oldest first."""

    @abstractmethod
    async def replay(self, ids: Collection[str] | None = None) -> int:
        """Hand these dead letters, by default all, out again; return how many."""
