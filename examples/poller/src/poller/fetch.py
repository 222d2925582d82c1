"""Asks URLs for their status: politely, in bounds, and never an address of our own network."""

import asyncio
import contextlib
import errno
import random
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple
from weakref import WeakValueDictionary

from aiohttp import (
    ClientConnectorDNSError,
    ClientError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    InvalidURL,
    TCPConnector,
)
from prometheus_client import Counter
from yarl import URL

from .guard import Error, ForbiddenAddressError, RefusedError, allowed, parsed, public_socket, refuse_port
from .settings import Settings

REDIRECTS = frozenset({301, 302, 303, 307, 308})
NOT_MODIFIED = 304
MOST_VALIDATOR = 256  # characters; a longer one is not kept
TRY_AGAIN = frozenset({429, 502, 503, 504, Error.DNS, Error.REFUSED, Error.RESET, Error.TIMEOUT, Error.UNREACHABLE})
ERRNOS = {
    errno.ECONNREFUSED: Error.REFUSED,
    errno.ENETUNREACH: Error.UNREACHABLE,
    errno.EHOSTUNREACH: Error.UNREACHABLE,
    errno.ETIMEDOUT: Error.TIMEOUT,
}

polled = Counter("polled_urls", "URLs asked, by what came of it: a class such as 2xx, or an error.", ["outcome"])


@cache
def _counter(outcome: str) -> Counter:
    return polled.labels(outcome)  # looked up once: that costs more than counting


@dataclass(frozen=True, slots=True)
class Answer:
    """What a URL answered: its status, or why it has none."""

    timestamp: datetime
    status: int | None = None
    error: Error | None = None
    validator: str | None = None
    """Its entity tag, or when it was modified last, to ask next time whether there is anything new."""
    is_unchanged: bool = False
    """It was asked with what was known of it, and says that nothing is new."""


class Known(NamedTuple):
    """What a URL answered the last time."""

    status: int | None
    validator: str


class Fetcher:
    """Asks URLs, many at once."""

    def __init__(self, session: ClientSession, settings: Settings) -> None:
        self._session = session
        self._settings = settings
        self._all = asyncio.Semaphore(settings.poll_concurrency)
        self._hosts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def fetch(self, text: str, known: Known | None = None) -> Answer:
        """Ask one URL, when its turn comes. Never raises for what the URL does.

        :param known: what it answered the last time.
        """
        try:
            answer = await self._in_turn(parsed(text), known)
        except RefusedError as error:
            answer = _failed(error.error)
        _counter(answer.error or f"{(answer.status or 0) // 100}xx").inc()
        return answer

    async def _in_turn(self, url: URL, known: Known | None) -> Answer:
        host = url.raw_host or ""
        turn = self._hosts.get(host)
        if turn is None:
            turn = self._hosts[host] = asyncio.Semaphore(self._settings.poll_per_host)
        async with turn, self._all:
            return await self._tried(url, known)

    async def _tried(self, url: URL, known: Known | None) -> Answer:
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._settings.poll_seconds
        for attempt in range(1, self._settings.poll_attempts + 1):
            answer = await self._attempt(url, known, deadline)
            wait = random.uniform(0, 0.25 * 2**attempt)  # noqa: S311 - spreads load, no secret
            is_last = attempt == self._settings.poll_attempts or clock() + wait >= deadline
            if is_last or (answer.error or answer.status) not in TRY_AGAIN:
                break
            await asyncio.sleep(wait)
        return answer

    async def _attempt(self, url: URL, known: Known | None, deadline: float) -> Answer:
        try:
            async with asyncio.timeout_at(deadline):
                return await self._followed(url, known)
        except RefusedError as error:
            return _failed(error.error)
        except (ClientError, OSError, ValueError) as error:
            return _failed(error_of(error))

    async def _followed(self, url: URL, known: Known | None) -> Answer:
        headers = conditions(known)
        for _ in range(self._settings.poll_redirects + 1):
            refuse_port(url, self._settings.poll_ports)
            async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                await self._read(response)
            target = response.headers.get("Location")
            if response.status not in REDIRECTS or target is None:
                return answered(response, known)
            url = allowed(url.join(URL(target)))
        raise RefusedError(Error.TOO_MANY_REDIRECTS)

    async def _read(self, response: ClientResponse) -> None:
        # To its end, so that the connection can be used again.
        left = self._settings.poll_body_bytes
        if (response.content_length or 0) > left:
            raise RefusedError(Error.TOO_LARGE)
        while chunk := await response.content.readany():
            left -= len(chunk)
            if left < 0:
                raise RefusedError(Error.TOO_LARGE)


@contextlib.asynccontextmanager
async def fetcher(settings: Settings) -> AsyncIterator[Fetcher]:
    """The resource: `Service(resources={"fetcher": fetcher})`."""
    # Not the chassis' client: that one connects to wherever it is told.
    session = ClientSession(
        connector=TCPConnector(
            limit=settings.poll_concurrency,
            limit_per_host=settings.poll_per_host,
            socket_factory=None if settings.poll_private else public_socket,
        ),
        timeout=ClientTimeout(sock_connect=settings.poll_connect_seconds, sock_read=settings.poll_read_seconds),
        auto_decompress=False,  # a small body may unpack into a large one
        cookie_jar=DummyCookieJar(),
        headers={"User-Agent": f"{settings.name} (+{settings.contact})"},
    )
    async with session:
        yield Fetcher(session, settings)


def conditions(known: Known | None) -> dict[str, str]:
    """The headers that ask for news alone."""
    if known is None:
        return {}
    return {"If-None-Match" if known.validator.endswith('"') else "If-Modified-Since": known.validator}


def answered(response: ClientResponse, known: Known | None) -> Answer:
    """The answer in `response`. That nothing has changed stands for the status of the last time."""
    now = datetime.now(UTC)
    if response.status == NOT_MODIFIED and known is not None:
        return Answer(now, known.status, validator=known.validator, is_unchanged=True)
    validator = response.headers.get("ETag") or response.headers.get("Last-Modified")
    is_usable = validator and len(validator) <= MOST_VALIDATOR and validator.isascii()
    return Answer(now, response.status, validator=validator if is_usable else None)


def error_of(error: Exception) -> Error:
    """What an exception of aiohttp's, or below it, means for a URL."""
    cause = getattr(error, "os_error", error)
    if isinstance(cause, ForbiddenAddressError):
        return Error.FORBIDDEN_ADDRESS
    if isinstance(error, TimeoutError):
        return Error.TIMEOUT
    if isinstance(error, ClientConnectorDNSError):
        return Error.DNS
    if isinstance(cause, ssl.SSLError | ssl.CertificateError):
        return Error.TLS
    if isinstance(error, InvalidURL):
        return Error.INVALID_URL
    if isinstance(error, ClientResponseError | ValueError):
        return Error.INVALID_RESPONSE
    return ERRNOS.get(getattr(cause, "errno", None) or 0, Error.RESET)


def _failed(error: Error) -> Answer:
    return Answer(datetime.now(UTC), error=error)
