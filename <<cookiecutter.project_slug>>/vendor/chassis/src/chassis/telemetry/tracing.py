"""Tracing: OpenTelemetry by its standard variables, and not even imported without them."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from starlette.types import Scope

from . import context

if TYPE_CHECKING:
    from .spans import Tracing

log = logging.getLogger("chassis.tracing")

_active: Tracing | None = None


def inject(headers: dict[str, str]) -> None:
    """Add to `headers`, of an outgoing call or task, what makes it a part of this request's trace."""
    if ids := context.current.get():
        headers["traceparent"] = ids.traceparent
        headers["x-request-id"] = ids.request_id
    if _active:
        _active.inject(headers)


def is_active() -> bool:
    """Whether spans are made at all in this process."""
    return _active is not None


def called(name: str, seconds: float, attributes: Mapping[str, str | int], error: Exception | None = None) -> None:
    """Add to the request's trace, if it is recorded, the span of a call to a server that has ended just now."""
    if _active:
        _active.called(name, seconds, attributes, error)


def record(error: Exception) -> None:
    """Tell the request's span, if there is one, what ended the request."""
    if _active:
        _active.record(error)


@contextlib.contextmanager
def worked_on(task: str, task_id: str, tracestate: str) -> Iterator[None]:
    """Inside, the span of a task is the current one, if the request that sent the task was sampled.

    Its ids are the current ones already.
    """
    ids = context.current.get()
    if _active is None or ids is None:
        yield
        return
    scope: Scope = {"headers": [(b"tracestate", tracestate.encode("latin-1", "replace"))] if tracestate else []}
    span, token = _active.begin_task(scope, ids, task, task_id)
    try:
        yield
    finally:
        _active.end_task(span, token)


def is_asked_for(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the standard variables ask for traces: an exporter or an endpoint is set, and the SDK not disabled."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environ.get("OTEL_TRACES_EXPORTER", "").strip():
        return bool(_exporter_names(environ))
    return bool(environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def configured(*, service: str, version: str, environment: str) -> Tracing | None:
    """Tracing as the standard variables ask for it; None if they do not, or if they cannot be followed."""
    global _active
    _active = None
    if is_asked_for():
        try:
            from .spans import Tracing

            exporters = [_exporter(name) for name in _exporter_names(os.environ) or ["otlp"]]
            _active = Tracing(exporters, service=service, version=version, environment=environment)
        except (ImportError, ValueError) as error:
            log.warning("traces are asked for but cannot be sent: %s", error)
    return _active


@contextlib.asynccontextmanager
async def flushed(tracing: Tracing | None) -> AsyncIterator[None]:
    """Send what is left when the service ends."""
    try:
        yield
    finally:
        if tracing:
            await tracing.flush()


def _exporter_names(environ: Mapping[str, str]) -> list[str]:
    names = (name.strip() for name in environ.get("OTEL_TRACES_EXPORTER", "").split(","))
    return [name for name in names if name not in {"", "none"}]


def _exporter(name: str) -> Any:
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
