"""Outgoing HTTP: one pooled client for the whole service, which tries again where that is safe."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.requests import HTTPConnection

from ..settings import Settings
from ..telemetry import tracing

if TYPE_CHECKING:  # a third of a second that a service without outgoing calls does not wait for
    from aiohttp import ClientResponse, ClientSession
    from yarl import URL

IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
METHODS = IDEMPOTENT | {"POST", "PATCH"}
TRY_AGAIN = frozenset({429, 502, 503, 504})
FIRST_WAIT, LONGEST_WAIT = 0.1, 5.0  # seconds
MOST_HOSTS = 100

log = logging.getLogger("chassis.client")


class HttpClient:
    """The client that `http_client` opens.

    An idempotent call (GET, HEAD, OPTIONS, PUT, DELETE, TRACE) is tried again after a connection error and after 429,
    502, 503 and 504: with full jitter, or when Retry-After says, and never past the time that a call may take. What
    the last attempt brought is the result.
    """

    # Not stamina's loop: an answer of 503 is a result here and no exception, it would sleep through any Retry-After
    # whatever the time left, and its jitter is added to the back-off instead of spread over it.

    def __init__(self, session: ClientSession, *, settings: Settings, metrics: ClientMetrics) -> None:
        self.session = session
        self._settings = settings
        self._metrics = metrics

    @staticmethod
    def of(request: HTTPConnection) -> HttpClient:
        """The client of the service that `request` came to. Raises RuntimeError if it has none."""
        client = getattr(request.state, "http", None)
        if not isinstance(client, HttpClient):
            raise RuntimeError('No outgoing client. Give one to the service: resources={"http": http_client}')
        return client

    @contextlib.asynccontextmanager
    async def request(
        self, method: str, url: str | URL, *, seconds: float | None = None, **options: Any
    ) -> AsyncIterator[ClientResponse]:
        """Call `url`, for as long as the block lasts.

        :param seconds: how long the call may take with all its attempts and its body; by default http_total_seconds.
        :param options: what `aiohttp.ClientSession.request` takes: params, json, data, headers …
        Raises aiohttp.ClientError, and TimeoutError. A status of 400 and more is a response like any other.
        """
        deadline = time.monotonic() + (self._settings.http_total_seconds if seconds is None else seconds)
        options["headers"] = propagated(options.get("headers") or {})
        attempts = self._settings.http_attempts if is_repeatable(method, options.get("data")) else 1
        response = await self._answer(attempts, deadline, method.upper(), url, options)
        async with response:
            yield response

    def get(self, url: str | URL, **options: Any) -> contextlib.AbstractAsyncContextManager[ClientResponse]:
        """`request` with GET."""
        return self.request("GET", url, **options)

    def post(self, url: str | URL, **options: Any) -> contextlib.AbstractAsyncContextManager[ClientResponse]:
        """`request` with POST."""
        return self.request("POST", url, **options)

    def put(self, url: str | URL, **options: Any) -> contextlib.AbstractAsyncContextManager[ClientResponse]:
        """`request` with PUT."""
        return self.request("PUT", url, **options)

    def patch(self, url: str | URL, **options: Any) -> contextlib.AbstractAsyncContextManager[ClientResponse]:
        """`request` with PATCH."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str | URL, **options: Any) -> contextlib.AbstractAsyncContextManager[ClientResponse]:
        """`request` with DELETE."""
        return self.request("DELETE", url, **options)

    async def _answer(
        self, attempts: int, deadline: float, method: str, url: str | URL, options: dict[str, Any]
    ) -> ClientResponse:
        import aiohttp

        for number in range(1, attempts + 1):
            response = None
            wait = random.uniform(0, min(LONGEST_WAIT, FIRST_WAIT * 2**number))  # noqa: S311 - spreads load, no secret
            try:
                response = await self._attempt(deadline, method, url, options)
                if response.status not in TRY_AGAIN:
                    return response
                wait = max(wait, retry_after(response.headers.get("retry-after")))
            except aiohttp.ClientSSLError:
                raise
            except aiohttp.ClientConnectionError:
                if number == attempts or time.monotonic() + wait >= deadline:
                    raise
            if response and (number == attempts or time.monotonic() + wait >= deadline):
                return response
            if response:
                response.release()
            log.info("trying again", extra={"attempt": number, "method": method, "wait_seconds": round(wait, 3)})
            await asyncio.sleep(wait)
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(self, deadline: float, method: str, url: str | URL, options: dict[str, Any]) -> ClientResponse:
        from aiohttp import ClientTimeout
        from yarl import URL

        url = URL(url)
        timeout = ClientTimeout(
            # aiohttp takes 0 for no limit
            total=max(deadline - time.monotonic(), 0.001),
            connect=self._settings.http_connect_seconds,
            sock_read=self._settings.http_read_seconds,
        )
        started = time.perf_counter()
        status = 0
        try:
            response = await self.session.request(method, url, timeout=timeout, **options)
            status = response.status
            return response
        finally:
            self._metrics.account(url, method, status, time.perf_counter() - started)


class ClientMetrics:
    """Outgoing requests by host, in `registry`. The first 100 hosts have a name, the rest is "other"."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._hosts: set[str] = set()
        self._known: dict[tuple[Any, ...], tuple[Counter, Histogram]] = {}
        self._requests = Counter(
            "http_client_requests",
            "Outgoing requests, each attempt; status is a class such as 2xx, or error without an answer.",
            ["host", "method", "status"],
            registry=registry,
        )
        self._duration = Histogram(
            "http_client_request_duration_seconds",
            "From the call to the response's headers.",
            ["host", "method"],
            registry=registry,
        )

    def account(self, url: URL, method: str, status: int, seconds: float) -> None:
        """Count one attempt; `status` 0 is no answer."""
        requests, duration = self._series(self._label(url), method if method in METHODS else "OTHER", status // 100)
        requests.inc()
        duration.observe(seconds)

    def _series(self, *key: Any) -> tuple[Counter, Histogram]:
        # Looked up once: `labels` costs more than counting.
        if key not in self._known:
            host, method, hundred = key
            outcome = f"{hundred}xx" if hundred else "error"
            self._known[key] = (self._requests.labels(host, method, outcome), self._duration.labels(host, method))
        return self._known[key]

    def _label(self, url: URL) -> str:
        host = (url.host or "") if url.is_default_port() else f"{url.host}:{url.port}"
        if host not in self._hosts and len(self._hosts) < MOST_HOSTS:
            self._hosts.add(host)
        return host if host in self._hosts else "other"


_metrics: WeakKeyDictionary[CollectorRegistry, ClientMetrics] = WeakKeyDictionary()


@contextlib.asynccontextmanager
async def http_client(settings: Settings, *, registry: CollectorRegistry) -> AsyncIterator[HttpClient]:
    """The resource: `Service(resources={"http": http_client})`, then `HttpClient.of(request)` in an endpoint."""
    from aiohttp import ClientSession, DummyCookieJar, TCPConnector

    # A registry refuses a second metric of one name, and a service may open its client twice: its tests do.
    metrics = _metrics.get(registry) or _metrics.setdefault(registry, ClientMetrics(registry))
    session = ClientSession(
        connector=TCPConnector(limit=settings.http_connections),
        cookie_jar=DummyCookieJar(),  # one client calls for everybody: cookies would cross between users
        headers={"user-agent": settings.name},
    )
    async with session:
        yield HttpClient(session, settings=settings, metrics=metrics)


def is_repeatable(method: str, data: object) -> bool:
    """Whether a call may be sent twice: its method is idempotent, and its body is not used up by the first time."""
    return method.upper() in IDEMPOTENT and (data is None or isinstance(data, (str, bytes)))


def propagated(headers: Mapping[str, str]) -> dict[str, str]:
    """`headers`, with the request id and the trace context of the request that is being answered."""
    context: dict[str, str] = {}
    tracing.inject(context)
    own = {name.lower() for name in headers}
    return {**{name: value for name, value in context.items() if name not in own}, **headers}


def retry_after(value: str | None) -> float:
    """The seconds that a Retry-After header asks for, in either of its forms; 0 where it asks for nothing."""
    if not value:
        return 0
    try:
        return max(float(value), 0) if value.isdecimal() else _seconds_until(parsedate_to_datetime(value))
    except ValueError:
        return 0


def _seconds_until(moment: datetime) -> float:
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0)
