"""A connection pool to Redis, and what goes wrong with it in the words of Python."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from redis import exceptions
from redis.asyncio import Redis

from .insisting import ANSWER_SECONDS, CONNECT_SECONDS

UNUSABLE = (
    exceptions.ConnectionError,
    exceptions.TimeoutError,
    exceptions.ReadOnlyError,
    exceptions.OutOfMemoryError,  # until somebody has made room
)


def connected(url: str) -> Redis:
    """A client, which connects when it is used. Raises ValueError for a URL that is none."""
    return Redis.from_url(
        url,
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
