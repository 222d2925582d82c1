import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient
from yarl import URL

from chassis import HttpClient, Settings, http_client
from chassis.http import client
from chassis.http.client import ClientMetrics, is_repeatable, propagated, retry_after
from chassis.telemetry import context
from patience import HANGS

Serve = Callable[..., TestClient]
pytestmark = pytest.mark.anyio
RETRY_SECONDS = 4  # who holds a connection for so long holds up others, on a machine of any speed


class Upstream:
    """A server that answers with the statuses of a script, and then 200."""

    def __init__(self) -> None:
        self.script: list[int] = []
        self.headers: dict[str, str] = {}
        self.text = "hello"
        self.seen: list[tuple[str, dict[str, str], str]] = []
        self.url = ""
        self.over = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.seen.append((request.method, headers, await request.text()))
        status = self.script.pop(0) if self.script else 200
        if status == 0 and request.transport:
            request.transport.abort()
        if status == 1:
            await self.over.wait()
        return web.Response(status=max(status, 200), text=self.text, headers={"set-cookie": "a=b", **self.headers})


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    upstream = Upstream()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", upstream.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        upstream.url = str(server.make_url("/"))
        try:
            yield upstream
        finally:
            upstream.over.set()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def http(registry: CollectorRegistry) -> AsyncIterator[HttpClient]:
    settings = Settings(name="caller", http_read_seconds=0.5, http_total_seconds=5)
    async with http_client(settings, registry=registry) as http:
        yield http


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT", 0.001)


async def status_of(http: HttpClient, method: str, url: str, **options: Any) -> int:
    async with http.request(method, url, **options) as response:
        assert await response.text() in {"hello", ""}
        return response.status


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "get"])
@pytest.mark.parametrize("failure", [429, 502, 503, 504, 0])
async def test_idempotent_calls_are_tried_again(
    http: HttpClient, upstream: Upstream, method: str, failure: int
) -> None:
    upstream.script = [failure, failure]
    assert await status_of(http, method, upstream.url) == 200
    assert len(upstream.seen) == 3


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_other_calls_are_not(http: HttpClient, upstream: Upstream, method: str) -> None:
    upstream.script = [503, 0]
    assert await status_of(http, method, upstream.url, json={"a": 1}) == 503
    with pytest.raises(aiohttp.ClientConnectionError):
        await status_of(http, method, upstream.url)
    assert len(upstream.seen) == 2


@pytest.mark.parametrize("status", [400, 404, 500, 501])
async def test_other_answers_are_results(http: HttpClient, upstream: Upstream, status: int) -> None:
    upstream.script = [status]
    assert await status_of(http, "GET", upstream.url) == status
    assert len(upstream.seen) == 1


async def test_the_last_answer_is_the_result(http: HttpClient, upstream: Upstream) -> None:
    upstream.script = [503] * 10
    assert await status_of(http, "GET", upstream.url) == 503
    assert len(upstream.seen) == 3


async def test_the_last_error_is_raised(http: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    with pytest.raises(aiohttp.ClientConnectionError):
        await status_of(http, "GET", f"http://127.0.0.1:{free}/")


async def test_the_body_is_sent_again(http: HttpClient, upstream: Upstream) -> None:
    upstream.script = [503]
    await status_of(http, "PUT", upstream.url, json={"a": 1})
    assert [body for _, _, body in upstream.seen] == ['{"a": 1}'] * 2


def test_a_body_that_is_used_up_is_not() -> None:
    assert is_repeatable("put", b"bytes")
    assert not is_repeatable("put", iter([b"bytes"]))
    assert not is_repeatable("post", None)


@pytest.mark.slow
async def test_a_silent_server_is_given_up(http: HttpClient, upstream: Upstream) -> None:
    upstream.script = [1] * 10
    with pytest.raises(TimeoutError):
        await status_of(http, "GET", upstream.url)
    with pytest.raises(TimeoutError):
        await status_of(http, "GET", upstream.url, seconds=0.05)


@pytest.mark.slow
async def test_retry_after_is_honoured(http: HttpClient, upstream: Upstream) -> None:
    upstream.script, upstream.headers = [503], {"retry-after": "1"}
    began = time.monotonic()
    assert await status_of(http, "GET", upstream.url) == 200
    assert time.monotonic() - began >= 1


@pytest.mark.slow
async def test_no_connection_is_held_until_the_next_attempt(upstream: Upstream) -> None:
    upstream.script, upstream.headers = [503], {"retry-after": str(RETRY_SECONDS)}
    upstream.text = "more than is read " * 500_000
    settings = Settings(name="caller", http_connections=1, http_connect_seconds=RETRY_SECONDS * 0.8)
    async with http_client(settings, registry=CollectorRegistry()) as http, asyncio.TaskGroup() as calls:
        calls.create_task(read(http.get(upstream.url)))
        while not upstream.seen:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert await read(http.post(upstream.url)) == upstream.text


async def read(call: AbstractAsyncContextManager[aiohttp.ClientResponse]) -> str:
    async with call as response:
        return await response.text()


async def test_nobody_waits_for_longer_than_a_call_may_take(http: HttpClient, upstream: Upstream) -> None:
    upstream.script, upstream.headers = [503], {"retry-after": "3600"}
    async with asyncio.timeout(HANGS):
        assert await status_of(http, "GET", upstream.url) == 503


def test_retry_after_in_both_forms() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 95 < retry_after(soon) <= 100
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=100), usegmt=True)
    assert [retry_after(value) for value in (None, "", "7", past, "-3", "soon", "1e9", "٣")] == [0, 0, 7, 0, 0, 0, 0, 3]


async def test_no_cookie_crosses_from_one_call_to_the_next(http: HttpClient, upstream: Upstream) -> None:
    for _ in range(2):
        await status_of(http, "GET", upstream.url)
    assert "cookie" not in upstream.seen[1][1]


async def test_the_request_id_travels_on(http: HttpClient, upstream: Upstream) -> None:
    token = context.current.set(context.new("abc", None))
    await status_of(http, "GET", upstream.url, headers={"x-own": "1"})
    await status_of(http, "GET", upstream.url, headers={"X-Request-ID": "mine"})
    context.current.reset(token)
    assert upstream.seen[0][1]["x-request-id"] == "abc"
    assert upstream.seen[0][1]["x-own"] == "1"
    assert upstream.seen[1][1]["x-request-id"] == "mine"
    assert upstream.seen[0][1]["user-agent"] == "caller"


def test_the_trace_travels_on() -> None:
    ids = context.new(None, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    token = context.current.set(ids)
    sent = propagated({"a": "b"})
    context.current.reset(token)
    assert sent == {"traceparent": ids.traceparent, "x-request-id": ids.request_id, "a": "b"}


async def test_metrics_tell_hosts_and_outcomes_apart(
    http: HttpClient, upstream: Upstream, registry: CollectorRegistry
) -> None:
    upstream.script = [503, 404, 0]
    await status_of(http, "GET", upstream.url)
    with pytest.raises(aiohttp.ClientConnectionError):
        await status_of(http, "POST", upstream.url)
    host = f"127.0.0.1:{URL(upstream.url).port}"

    def count(method: str, status: str) -> float | None:
        labels = {"host": host, "method": method, "status": status}
        return registry.get_sample_value("http_client_requests_total", labels)

    assert [count("GET", "5xx"), count("GET", "4xx"), count("POST", "error")] == [1, 1, 1]
    durations = "http_client_request_duration_seconds_count"
    assert registry.get_sample_value(durations, {"host": host, "method": "GET"}) == 2


def test_many_hosts_do_not_make_many_series(registry: CollectorRegistry) -> None:
    metrics = ClientMetrics(registry)
    for number in range(1000):
        metrics.account(URL(f"https://host{number}.example/"), "GET", 200, 0.1)
    labels = {"host": "other", "method": "GET", "status": "2xx"}
    assert registry.get_sample_value("http_client_requests_total", labels) == 900
    assert len({sample.labels["host"] for metric in registry.collect() for sample in metric.samples}) == 101


def test_a_service_with_and_without_it(serve: Serve) -> None:
    router = APIRouter()

    @router.get("/")
    async def root(request: Request) -> bool:
        return HttpClient.of(request).session.closed

    served = serve(router, resources={"http": http_client})
    assert served.get("/").json() is False
    assert "http_client_requests" in served.get("/metrics").text
    assert serve(router).get("/").status_code == 500


def test_a_second_start_of_one_service(serve: Serve) -> None:
    settings = Settings(name="caller")
    registry = CollectorRegistry()

    async def twice() -> None:
        for _ in range(2):
            async with http_client(settings, registry=registry):
                pass

    asyncio.run(twice())


@pytest.mark.slow
def test_who_calls_nobody_does_not_import_it() -> None:
    code = "import chassis, sys; sys.exit('aiohttp' in sys.modules or 'yarl' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
