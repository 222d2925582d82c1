"""A connection to NATS, made when it is used, and what goes wrong with it in the words of Python."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import nats
from nats.errors import Error, MaxPayloadError
from nats.js.errors import BadRequestError, KeyWrongLastSequenceError, NotFoundError

from .errors import TooLargeError
from .insisting import ANSWER_SECONDS, CONNECT_SECONDS

log = logging.getLogger(__name__)


class NatsConnection:
    """One connection of this process. Once it was there, it comes back by itself when the server does."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client: Any = None
        self._connecting = asyncio.Lock()

    async def client(self) -> Any:
        """The client, connected. Raises ConnectionError."""
        async with self._connecting:
            if self._client is None or self._client.is_closed:
                self._client = await self._connected()
        if not self._client.is_connected:
            raise ConnectionError("NATS: not connected")  # it is trying; whoever asks need not wait
        return self._client

    async def stream(self) -> Any:
        """JetStream. Raises ConnectionError."""
        return (await self.client()).jetstream(timeout=ANSWER_SECONDS)

    async def close(self) -> None:
        """Send what is left, and close."""
        if self._client is not None and not self._client.is_closed:
            with contextlib.suppress(TimeoutError, Error, OSError):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._client.flush()
            await self._client.close()

    async def _connected(self) -> Any:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                client = await nats.connect(
                    self._url,
                    connect_timeout=int(CONNECT_SECONDS),
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    error_cb=_told,
                )
        except (Error, OSError, TimeoutError) as error:
            raise ConnectionError(f"NATS: {type(error).__name__}") from error
        # The first time, whoever asks is told soon; once it was there, it is waited for.
        client.options |= {"max_reconnect_attempts": -1, "reconnect_time_wait": 0.5}
        return client


async def _told(error: Exception) -> None:
    # nats-py would print a traceback for each attempt to connect; who is refused says so.
    log.debug("NATS: %s: %s", type(error).__name__, error)


@contextlib.contextmanager
def told_plainly() -> Iterator[None]:
    """Inside, a server that cannot be used is Python's ConnectionError; what it answers stays what it is."""
    try:
        yield
    except (NotFoundError, BadRequestError, KeyWrongLastSequenceError):
        raise
    except MaxPayloadError as error:
        raise TooLargeError("NATS: a message is larger than the server's max_payload") from error
    except (Error, TimeoutError) as error:
        raise ConnectionError(f"NATS: {type(error).__name__}") from error
