"""A connection pool to Redis, and what goes wrong with it in the words of Python."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from redis import exceptions
from redis.asyncio import Connection, Redis

from .insisting import ANSWER_SECONDS, CONNECT_SECONDS

UNUSABLE = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,  # until somebody has made room
)


class _Connection(Connection):
    """Writes a command as one piece.

    To write several, the asyncio of Python 3.13.0 stumbles over a connection that is reset meanwhile: it raises what is
    no OSError, or leaves a selector that waits for ever.
    """

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[no-untyped-call]
        writer = self._writer
        if writer is not None:
            writer.writelines = lambda pieces: writer.write(b"".join(pieces))  # type: ignore[method-assign, assignment]


def connected(url: str) -> Redis:
    """A client, which connects when it is used. Raises ValueError for a URL that is none."""
    return Redis.from_url(
        url,
        connection_class=_Connection,  # a URL of another scheme has its own
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        health_check_interval=30,
        protocol=2,
    )


@contextlib.contextmanager
def told_plainly() -> Iterator[None]:
    """Inside, a server that cannot be used is Python's ConnectionError."""
    try:
        yield
    except UNUSABLE as error:
        raise ConnectionError(str(error) or type(error).__name__) from error
