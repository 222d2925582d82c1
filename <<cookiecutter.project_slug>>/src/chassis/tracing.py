"""Tracing: OpenTelemetry by its standard variables, and not even imported without them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from starlette.types import Scope

from . import context
from .context import Ids

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.trace import Span

log = logging.getLogger(__name__)

FLUSH_SECONDS = 3.0
RATIO_SAMPLERS = {"traceidratio", "parentbased_traceidratio"}


def inject(headers: dict[str, str]) -> None:
    """Add to `headers`, of an outgoing call or task, what makes it a part of this request's trace."""
    if ids := context.current.get():
        headers["traceparent"] = ids.traceparent
        headers["x-request-id"] = ids.request_id


def is_asked_for(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the standard variables ask for traces: an exporter or an endpoint is set, and the SDK not disabled."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "")
    if exporter:
        return exporter != "none"
    return bool(environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


class Sampler:
    """Decides at the edge which requests are traced, as `OTEL_TRACES_SAMPLER` says.

    The SDK's own sampler would be asked after a span was prepared, which is most of a span's cost.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        name = environ.get("OTEL_TRACES_SAMPLER", "parentbased_always_on")
        self.follows_parent = name.startswith("parentbased_")
        self._bound = round(self._ratio(name, environ.get("OTEL_TRACES_SAMPLER_ARG", "1")) * (1 << 64))

    @staticmethod
    def _ratio(name: str, argument: str) -> float:
        if name not in RATIO_SAMPLERS:
            return 0.0 if name.endswith("always_off") else 1.0
        try:
            return min(max(float(argument), 0.0), 1.0)
        except ValueError:
            log.warning("OTEL_TRACES_SAMPLER_ARG=%r is no number from 0 to 1; every request is traced", argument)
            return 1.0

    def decide(self, ids: Ids) -> bool:
        """Whether the request with `ids` is traced. The same trace gets the same answer in every service."""
        if ids.parent_id and self.follows_parent:
            return ids.sampled
        return int(ids.trace_id[16:], 16) < self._bound


class Tracing:
    """Makes a server span of each sampled request, and sends the spans away."""

    def __init__(self, *, service: str, version: str, environment: str) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased

        named = {"service.name": service, "service.version": version, "deployment.environment.name": environment}
        # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
        resource = Resource.create(named).merge(OTELResourceDetector().detect())
        self.sampler = Sampler()
        self._provider = TracerProvider(
            resource=resource, sampler=ParentBased(ALWAYS_ON), shutdown_on_exit=False, id_generator=_id_generator()
        )
        self._provider.add_span_processor(BatchSpanProcessor(_exporter()))
        trace.set_tracer_provider(self._provider)
        self._tracer = self._provider.get_tracer("chassis", version)

    def begin(self, scope: Scope, ids: Ids) -> tuple[Ids, Span | None, Token[Any]]:
        """Start the request's span, if it is sampled, and make it the current one. `ids` are the current ones.

        Returns the ids to use from now on, the span, and what `end` must be given.
        """
        from opentelemetry import context as otel_context
        from opentelemetry import trace

        sampled = self.sampler.decide(ids)
        parent = _span_context(ids, ids.parent_id, sampled) if ids.parent_id else None
        if not sampled:
            # A span that does not record is what keeps the team's own spans from being recorded.
            silent = trace.NonRecordingSpan(_span_context(ids, ids.span_id, sampled=False))
            token = otel_context.attach(trace.set_span_in_context(silent))
            return ids._replace(sampled=False), None, token
        above = trace.set_span_in_context(trace.NonRecordingSpan(parent)) if parent else otel_context.Context()
        span = self._tracer.start_span(
            scope["method"], context=above, kind=trace.SpanKind.SERVER, attributes=_attributes(scope)
        )
        made = span.get_span_context()
        token = otel_context.attach(trace.set_span_in_context(span))
        return ids._replace(span_id=f"{made.span_id:016x}", sampled=True), span, token

    def end(self, span: Span | None, token: Token[Any], *, method: str, route: str, status: int) -> None:
        """End the request's span, now that its route and status are known."""
        from opentelemetry import context as otel_context
        from opentelemetry.trace import StatusCode

        otel_context.detach(token)
        if span is None:
            return
        span.update_name(f"{method} {route}")
        span.set_attributes({"http.route": route, "http.response.status_code": status})
        if status >= 500:
            span.set_status(StatusCode.ERROR)
        span.end()

    async def flush(self) -> None:
        """Send what is left, for as long as a missing collector may take."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_SECONDS):
                await asyncio.to_thread(self._provider.force_flush, int(FLUSH_SECONDS * 1000))


def configured(*, service: str, version: str, environment: str) -> Tracing | None:
    """Tracing as the standard variables ask for it; None if they do not, or if they cannot be followed."""
    if not is_asked_for():
        return None
    try:
        return Tracing(service=service, version=version, environment=environment)
    except (ImportError, ValueError) as error:
        log.warning("traces are asked for but cannot be sent: %s", error)
        return None


@contextlib.asynccontextmanager
async def flushed(tracing: Tracing | None) -> AsyncIterator[None]:
    """Send what is left when the service ends."""
    try:
        yield
    finally:
        if tracing:
            await tracing.flush()


def _exporter() -> Any:
    name = os.environ.get("OTEL_TRACES_EXPORTER", "otlp")
    if name == "console":
        from opentelemetry.sdk.trace.export import ConsoleSpanExporter

        return ConsoleSpanExporter(formatter=lambda span: f"{span.to_json(indent=None)}\n")
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    if name != "otlp":
        raise ValueError(f"OTEL_TRACES_EXPORTER={name} is not known here; use otlp, console or none")
    if protocol not in {None, "", "http/protobuf"}:
        raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol} is not known here; use http/protobuf")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()


def _id_generator() -> Any:
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class TheRequests(RandomIdGenerator):
        """The trace is the one that the log's lines name, and that the sampler decided on."""

        def generate_trace_id(self) -> int:
            ids = context.current.get()
            return int(ids.trace_id, 16) if ids else super().generate_trace_id()

    return TheRequests()


def _span_context(ids: Ids, span_id: str, sampled: bool) -> Any:
    from opentelemetry.trace import SpanContext, TraceFlags

    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    return SpanContext(int(ids.trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=flags)


def _attributes(scope: Scope) -> dict[str, str | int]:
    """What of the request is known before it is answered, by OpenTelemetry's names."""
    attributes: dict[str, str | int] = {
        "http.request.method": scope["method"],
        "url.path": scope["path"],
        "url.scheme": scope.get("scheme", "http"),
        "network.protocol.version": scope.get("http_version", "1.1"),
    }
    if client := scope.get("client"):
        attributes["client.address"] = client[0]
    if server := scope.get("server"):
        attributes["server.address"], attributes["server.port"] = server[0], server[1] or 0
    return attributes
