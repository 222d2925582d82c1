"""Spans: what is made of requests, tasks and calls with OpenTelemetry's SDK, which takes its time to import."""

import asyncio
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from contextvars import Token
from functools import partial
from typing import Any

from opentelemetry import context, trace
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import Scope

from . import context as request
from .context import Ids
from .metrics import METHODS
from .sampling import Sampler

log = logging.getLogger("chassis.tracing")

FLUSH_SECONDS = 3.0
LONGEST_PATH = 1024  # spans wait in memory for their collector


class Tracing:
    """Makes a server span of each sampled request, and sends the spans away."""

    def __init__(self, exporters: Iterable[SpanExporter], *, service: str, version: str, environment: str) -> None:
        self._propagator = TraceContextTextMapPropagator()
        # Most requests are unsampled and bring no state along: they share one span, which finds their ids itself.
        self._shared = trace.set_span_in_context(_Silent(_unsampled))
        named = {"service.name": service, "service.version": version, "deployment.environment.name": environment}
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
        resource = Resource.create(named).merge(OTELResourceDetector().detect())
        self.sampler = Sampler()
        # What is decided here is no request: spans that a team makes in commands and background work.
        root = ParentBased(TraceIdRatioBased(self.sampler.ratio))
        self._provider = TracerProvider(
            resource=resource, sampler=root, shutdown_on_exit=False, id_generator=_TheRequests()
        )
        for exporter in exporters:
            self._provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(self._provider)
        self._tracer = self._provider.get_tracer("chassis", version)

    def begin(self, scope: Scope, ids: Ids) -> tuple[Ids, Span | None, Token[Any]]:
        """Start the request's span, if it is sampled, and make it and its ids the current ones.

        `ids` are the current ones until then. Returns the ids to use from now on, the span, and what `end` must be
        given.
        """
        if not self.sampler.decide(ids):
            if ids.sampled:
                ids = ids._replace(sampled=False)
                request.current.set(ids)
            if not (context.get_current() or (ids.parent_id and _state(scope))):
                return ids, None, context.attach(self._shared)
            silent = _Silent(partial(_span_context, scope, ids, ids.span_id, sampled=False))
            return ids, None, _made_current(silent)
        span = self._tracer.start_span(
            _name(scope["method"]),
            context=_above(scope, ids),
            kind=trace.SpanKind.SERVER,
            attributes=_attributes(scope),
        )
        ids = _ids_of(span, ids)
        request.current.set(ids)
        return ids, span, _made_current(span)

    def end(self, span: Span | None, token: Token[Any], *, method: str, route: str, status: int) -> None:
        """End the request's span, now that its route and status are known."""
        context.detach(token)
        if span is None:
            return
        span.set_attribute("http.response.status_code", status)
        if route != "unmatched":
            span.update_name(f"{_name(method)} {route}")
            span.set_attribute("http.route", route)
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(trace.StatusCode.ERROR)
        span.end()

    def begin_task(self, scope: Scope, ids: Ids, task: str, task_id: str) -> tuple[Span | None, Token[Any]]:
        """Start the span of a task, if it is sampled, and make it and its ids the current ones.

        :param scope: whose headers have the trace's state.

        Returns the span, and what `end_task` must be given.
        """
        if not self.sampler.decide(ids):
            request.current.set(ids._replace(sampled=False))
            return None, context.attach(self._shared)
        span = self._tracer.start_span(
            f"task {task}",
            context=_above(scope, ids),
            kind=trace.SpanKind.CONSUMER,
            attributes={"messaging.operation.type": "process", "messaging.message.id": task_id, "chassis.task": task},
        )
        request.current.set(_ids_of(span, ids))
        return span, _made_current(span)

    def end_task(self, span: Span | None, token: Token[Any]) -> None:
        """End the span of a task."""
        context.detach(token)
        if span is not None:
            span.end()

    def inject(self, headers: dict[str, str]) -> None:
        """Make the current span, which may be one of the team's, the parent of what `headers` go to."""
        self._propagator.inject(headers)

    def called(self, name: str, seconds: float, attributes: Mapping[str, str | int], error: Exception | None) -> None:
        """Make a client's span below the current one, if that is recorded. Says of `error` no more than its type."""
        if not trace.get_current_span().is_recording():
            return
        ended = time.time_ns()
        span = self._tracer.start_span(
            name, kind=trace.SpanKind.CLIENT, attributes=attributes, start_time=ended - round(seconds * 1e9)
        )
        if error:
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(trace.StatusCode.ERROR)
        span.end(ended)

    def record(self, error: Exception) -> None:
        """Add `error` to the current span, without its message: that may hold a secret, and stands in the log, where
        secrets are masked, under the same trace id.
        """
        span, kind = trace.get_current_span(), type(error)
        if not span.is_recording():
            return
        frames = "".join(traceback.format_tb(error.__traceback__))
        members = {
            "exception.type": f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."),
            "exception.stacktrace": frames,
        }
        span.add_event("exception", members)

    async def flush(self) -> None:
        """Send what is left, for as long as a missing collector may take."""
        # The SDK minds no time-out here, and the end of the process waits for asyncio's threads, but not for this one.
        sending = threading.Thread(target=self._provider.force_flush, name="spans", daemon=True)
        sending.start()
        deadline = time.monotonic() + FLUSH_SECONDS
        while sending.is_alive():
            if time.monotonic() > deadline:
                log.warning("the last spans were not sent: the collector did not take them in %g s", FLUSH_SECONDS)
                return
            await asyncio.sleep(0.01)


def _above(scope: Scope, ids: Ids) -> Any:
    if not ids.parent_id:
        return context.Context()
    parent = _span_context(scope, ids, ids.parent_id, sampled=True)
    return trace.set_span_in_context(NonRecordingSpan(parent))


def _made_current(span: Span) -> Token[Any]:
    return context.attach(trace.set_span_in_context(span))


def _unsampled() -> SpanContext:
    ids = request.current.get()
    if ids is None:
        return trace.INVALID_SPAN_CONTEXT
    return SpanContext(int(ids.trace_id, 16), int(ids.span_id, 16), True, trace.TraceFlags(0))


def _span_context(scope: Scope, ids: Ids, span_id: str, sampled: bool) -> SpanContext:
    state = _state(scope) if ids.parent_id else None
    states = trace.TraceState.from_header([state]) if state else None
    return SpanContext(int(ids.trace_id, 16), int(span_id, 16), True, trace.TraceFlags(sampled), states)


class _TheRequests(RandomIdGenerator):
    """The trace is the one that the log's lines name, and that the sampler decided on."""

    def generate_trace_id(self) -> int:
        ids = request.current.get()
        return int(ids.trace_id, 16) if ids else super().generate_trace_id()


class _Silent(NonRecordingSpan):
    """Of a request that is not sampled: it keeps the team's own spans from being recorded.

    What it would say of itself is put together when it is asked, which it is in few requests.
    """

    def __init__(self, make: Callable[[], SpanContext]) -> None:
        self._make = make

    def get_span_context(self) -> SpanContext:
        return self._make()

    def __repr__(self) -> str:
        return f"Silent({self._make()!r})"


def _ids_of(span: Span, ids: Ids) -> Ids:
    return ids._replace(span_id=f"{span.get_span_context().span_id:016x}", sampled=True)


def _state(scope: Scope) -> str:
    return ",".join(value.decode("latin-1") for name, value in scope["headers"] if name == b"tracestate")


def _name(method: str) -> str:
    return method if method in METHODS else "HTTP"  # anybody can invent methods


def _attributes(scope: Scope) -> dict[str, str | int]:
    """What of the request is known before it is answered, by OpenTelemetry's names."""
    method = scope["method"]
    attributes: dict[str, str | int] = {
        "http.request.method": method if method in METHODS else "_OTHER",
        "url.path": scope["path"][:LONGEST_PATH],
        "url.scheme": scope.get("scheme", "http"),
        "network.protocol.version": scope.get("http_version", "1.1"),
    }
    if client := scope.get("client"):
        attributes["client.address"] = client[0]
    if server := scope.get("server"):
        attributes["server.address"], attributes["server.port"] = server[0], server[1] or 0
    return attributes
