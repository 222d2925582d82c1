import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import APIRouter, HTTPException, Request
from opentelemetry import baggage, propagate, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, StatusCode
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from asgi import call, header, scope
from chassis.telemetry import context, tracing
from chassis.telemetry.spans import LONGEST_PATH
from chassis.telemetry.tracing import configured, inject, is_asked_for
from patience import HANGS

Serve = Callable[..., TestClient]
pytestmark = pytest.mark.anyio

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SECRET = "hunter2"  # noqa: S105
NAMES = {"service": "under-test", "version": "1.2.3", "environment": "test"}
router = APIRouter(prefix="/api")


@router.get("/items/{item}")
async def item(item: int, request: Request) -> dict[str, str]:
    logging.getLogger("team").info("working")
    headers: dict[str, str] = {}
    with trace.get_tracer("team").start_as_current_span("child"):
        inject(headers)
    return headers | {"baggage_in": request.headers.get("baggage", "")}


@router.get("/bug")
async def bug() -> None:
    raise ValueError(SECRET)


@router.get("/unavailable")
async def unavailable() -> None:
    raise HTTPException(503)


class Kept(SpanExporter):
    """Keeps the spans; a collector, without the way to it."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []
        self.free = threading.Event()
        """Cleared, it hangs until it is set."""
        self.free.set()

    def export(self, spans: Any) -> SpanExportResult:
        self.free.wait()
        self.spans += spans
        return SpanExportResult.SUCCESS


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER", "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    yield
    tracing._active = None


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Kept:
    """What is exported, with a global provider that each test may set."""
    kept = Kept()
    monkeypatch.setattr(tracing, "_exporter", lambda name: kept)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace._TRACER_PROVIDER_SET_ONCE, "_done", False)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    return kept


@pytest.fixture
def app(kept: Kept, serve: Serve) -> ASGIApp:
    return serve(router).app


def spans(kept: Kept) -> dict[str, ReadableSpan]:
    provider = trace.get_tracer_provider()
    assert isinstance(provider, TracerProvider)
    provider.force_flush()
    return {span.name: span for span in kept.spans}


def traceparent(flags: str = "01") -> tuple[bytes, bytes]:
    return b"traceparent", f"00-{TRACE}-{PARENT}-{flags}".encode()


@pytest.mark.parametrize(
    ("environ", "asked"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_TRACES_EXPORTER": "none, console"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "false"}, True),
        ({"OTEL_SERVICE_NAME": "name"}, False),
    ],
)
def test_it_is_on_where_the_standard_variables_ask_for_it(environ: dict[str, str], asked: bool) -> None:
    assert is_asked_for(environ) is asked


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_EXPORTER", "otlp,jaeger"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
    ],
)
def test_what_cannot_be_followed_is_told_and_the_service_runs_without(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv(variable, value)
    before = threading.active_count()
    assert configured(**NAMES) is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "traces are asked for but cannot be sent" in record.getMessage()
    assert threading.active_count() == before


def test_nothing_is_configured_unless_asked_for() -> None:
    assert configured(**NAMES) is None
    headers: dict[str, str] = {}
    inject(headers)
    tracing.record(ValueError())
    assert headers == {}


def test_what_goes_out_bears_the_request_s_ids_without_tracing_too() -> None:
    headers = {"accept": "*/*", "baggage": "a=b"}
    token = context.current.set(ids := context.new("mine", f"00-{TRACE}-{PARENT}-00"))
    inject(headers)
    context.current.reset(token)
    assert headers == {
        "accept": "*/*",
        "baggage": "a=b",
        "x-request-id": "mine",
        "traceparent": f"00-{TRACE}-{ids.span_id}-00",
    }


async def test_a_sampled_request_becomes_a_span_of_the_caller_s_trace(app: ASGIApp, kept: Kept) -> None:
    await call(app, scope("/api/items/1", headers=[traceparent()]))
    span = spans(kept)["GET /api/items/{item}"]
    assert span.kind is SpanKind.SERVER
    assert span.context
    assert span.parent
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
    assert span.parent.is_remote
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes == {
        "http.request.method": "GET",
        "http.route": "/api/items/{item}",
        "http.response.status_code": 200,
        "url.path": "/api/items/1",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "client.address": "192.0.2.1",
        "server.address": "127.0.0.1",
        "server.port": 80,
    }
    resource = span.resource.attributes
    assert [resource[f"service.{name}"] for name in ("name", "version")] == ["under-test", "1.2.3"]


async def test_a_request_is_one_span(app: ASGIApp, kept: Kept) -> None:
    """FastAPI makes four of its own as soon as a global provider exists."""
    await call(app, scope("/api/items/1"))
    assert spans(kept).keys() == {"GET /api/items/{item}", "child"}


async def test_the_team_s_spans_lie_below_the_request_s_and_so_does_what_goes_out(app: ASGIApp, kept: Kept) -> None:
    messages = await call(app, scope("/api/items/1", headers=[traceparent(), (b"tracestate", b"vendor=1")]))
    made = spans(kept)
    server, child = made["GET /api/items/{item}"].context, made["child"]
    assert server
    assert child.context
    assert child.parent
    assert child.parent.span_id == server.span_id
    sent = json.loads(messages[1]["body"])
    assert sent["traceparent"] == f"00-{TRACE}-{child.context.span_id:016x}-01"
    assert sent["tracestate"] == "vendor=1"


@pytest.mark.parametrize("sampled", [True, False])
async def test_baggage_is_left_alone(app: ASGIApp, sampled: bool) -> None:
    headers = [traceparent(f"0{sampled:d}"), (b"baggage", b"user=1")]
    sent = json.loads((await call(app, scope("/api/items/1", headers=headers)))[1]["body"])
    assert sent["baggage_in"] == "user=1"
    assert "baggage" not in sent
    assert baggage.get_all() == {}


async def test_an_unsampled_request_records_nothing_and_hands_its_trace_on(app: ASGIApp, kept: Kept) -> None:
    messages = await call(app, scope("/api/items/1", headers=[traceparent("00"), (b"tracestate", b"vendor=1")]))
    assert spans(kept) == {}
    sent = json.loads(messages[1]["body"])
    assert sent["traceparent"].startswith(f"00-{TRACE}-")
    assert sent["traceparent"].endswith("-00")
    assert sent["tracestate"] == "vendor=1"


@pytest.mark.parametrize("flags", ["00", "01"])
async def test_whoever_asks_for_the_current_span_gets_one_of_the_request_s_trace(
    serve: Serve, kept: Kept, flags: str
) -> None:
    seen: list[trace.Span] = []
    asking = APIRouter()

    @asking.get("/ask")
    async def ask() -> str:
        seen.append(trace.get_current_span())
        sent: dict[str, str] = {}
        propagate.inject(sent)
        return sent["traceparent"]

    messages = await call(serve(asking).app, scope("/ask", headers=[traceparent(flags), (b"tracestate", b"vendor=1")]))
    made = seen[0].get_span_context()
    assert f"{made.trace_id:032x}" == TRACE
    assert made.trace_flags == int(flags)
    assert made.trace_state.get("vendor") == "1"
    assert json.loads(messages[1]["body"]) == f"00-{TRACE}-{made.span_id:016x}-{flags}"


async def test_nothing_of_a_request_stays_after_it(app: ASGIApp) -> None:
    await call(app, scope("/api/items/1"))
    await call(app, scope("/api/bug"))
    assert not trace.get_current_span().get_span_context().is_valid
    assert context.current.get() is None


@pytest.mark.parametrize("flags", ["00", "01"])
async def test_the_log_s_ids_are_the_span_s(
    app: ASGIApp, kept: Kept, flags: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[context.Ids | None] = []
    monkeypatch.setattr(logging.getLogger("team"), "info", lambda message: seen.append(context.current.get()))
    messages = await call(app, scope("/api/items/1", headers=[traceparent(flags)]))
    (ids,) = seen
    assert ids
    assert ids.trace_id == TRACE
    assert header(messages, b"x-request-id") == TRACE.encode()
    if flags == "01":
        server = spans(kept)["GET /api/items/{item}"].context
        assert server
        assert ids.span_id == f"{server.span_id:016x}"


async def test_a_trace_that_begins_here_is_the_log_s(app: ASGIApp, kept: Kept) -> None:
    messages = await call(app, scope("/api/items/1"))
    span = spans(kept)["GET /api/items/{item}"]
    assert span.context
    assert span.parent is None
    assert header(messages, b"x-request-id") == f"{span.context.trace_id:032x}".encode()


async def test_a_failure_is_told_without_what_it_says(app: ASGIApp, kept: Kept) -> None:
    await call(app, scope("/api/bug"))
    span = spans(kept)["GET /api/bug"]
    assert span.attributes
    assert span.status.status_code is StatusCode.ERROR
    assert (span.attributes["http.response.status_code"], span.attributes["error.type"]) == (500, "500")
    (event,) = span.events
    assert event.attributes
    assert (event.name, event.attributes["exception.type"]) == ("exception", "ValueError")
    assert "in bug" in str(event.attributes["exception.stacktrace"])
    assert SECRET not in span.to_json()


async def test_an_answer_that_is_an_error_of_the_service_is_one_of_the_span(app: ASGIApp, kept: Kept) -> None:
    await call(app, scope("/api/unavailable"))
    await call(app, scope("/api/items/x"))
    made = spans(kept)
    assert made["GET /api/unavailable"].status.status_code is StatusCode.ERROR
    assert made["GET /api/items/{item}"].status.status_code is StatusCode.UNSET


async def test_what_clients_invent_names_no_span_and_takes_no_room(app: ASGIApp, kept: Kept) -> None:
    await call(app, scope("/" + "x" * 100_000, method="BREW"))
    (span,) = spans(kept).values()
    assert span.attributes
    assert (span.name, span.attributes["http.request.method"]) == ("HTTP", "_OTHER")
    assert "http.route" not in span.attributes
    assert len(str(span.attributes["url.path"])) == LONGEST_PATH


@pytest.mark.parametrize("flags", ["00", "01"])
async def test_only_a_sampled_request_is_an_exemplar(serve: Serve, kept: Kept, flags: str) -> None:
    client = serve(router)
    await call(client.app, scope("/api/items/1", headers=[traceparent(flags)]))
    openmetrics = client.get("/metrics", headers={"accept": "application/openmetrics-text"}).text
    assert (f'trace_id="{TRACE}"' in openmetrics) is (flags == "01")


async def test_spans_outside_requests_are_sampled_too(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    assert configured(**NAMES)
    with trace.get_tracer("team").start_as_current_span("command") as span:
        assert not span.is_recording()


async def test_the_standard_s_names_of_the_service_win(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "another")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=blue")
    assert configured(**NAMES)
    with trace.get_tracer("team").start_as_current_span("command") as span:
        assert isinstance(span, ReadableSpan)
        named = span.resource.attributes
    assert (named["service.name"], named["team"], named["service.version"]) == ("another", "blue", "1.2.3")


async def test_the_end_does_not_wait_for_a_collector_that_hangs(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("chassis.telemetry.spans.FLUSH_SECONDS", 0.2)
    kept.free.clear()
    try:
        async with asyncio.timeout(HANGS), tracing.flushed(configured(**NAMES)):
            trace.get_tracer("team").start_span("last").end()
        assert kept.spans == []  # it still hangs
        assert "the last spans were not sent" in caplog.text
        flushing = [thread for thread in threading.enumerate() if thread.name == "spans"]
        assert all(thread.daemon for thread in flushing)
    finally:
        kept.free.set()
    for thread in flushing:
        await asyncio.to_thread(thread.join)


async def test_the_end_sends_what_is_left(kept: Kept) -> None:
    async with tracing.flushed(configured(**NAMES)):
        trace.get_tracer("team").start_span("last").end()
    assert [span.name for span in kept.spans] == ["last"]
