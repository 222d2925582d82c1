"""A task is a span of the trace of the request that sent it."""

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind

from chassis.telemetry import context, tracing
from chassis_tasks import Tasks
from patience import HANGS
from tasks.bench import at_work

pytestmark = pytest.mark.anyio

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Kept(SpanExporter):
    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: object) -> SpanExportResult:
        assert isinstance(spans, (list, tuple))
        self.spans += spans
        return SpanExportResult.SUCCESS


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    kept = Kept()
    monkeypatch.setattr(tracing, "_exporter", lambda name: kept)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "kept")
    monkeypatch.setattr("opentelemetry.trace.set_tracer_provider", lambda provider: None)
    tracing.configured(service="under-test", version="1.2.3", environment="test")
    yield kept
    monkeypatch.setattr(tracing, "_active", None)


async def run(part: Tasks, traceparent: str) -> list[context.Ids | None]:
    seen = []

    @part.task
    async def work() -> None:
        seen.append(context.current.get())

    async with at_work(part):
        token = context.current.set(context.new("request-1", traceparent))
        sent = await work.enqueue()
        context.current.reset(token)
        await part.wait(sent.id, seconds=HANGS)
    active = tracing._active
    assert active is not None
    active._provider.force_flush()
    return seen


async def test_a_sampled_one(part: Tasks, kept: Kept) -> None:
    (ids,) = await run(part, f"00-{TRACE}-{PARENT}-01")
    (span,) = kept.spans
    assert (span.name, span.kind) == ("task work", SpanKind.CONSUMER)
    its = span.get_span_context()
    assert its is not None
    assert f"{its.trace_id:032x}" == TRACE
    assert span.parent is not None
    assert span.parent.is_remote
    assert ids is not None
    assert (ids.trace_id, ids.span_id) == (TRACE, f"{its.span_id:016x}")


async def test_an_unsampled_one(part: Tasks, kept: Kept) -> None:
    (ids,) = await run(part, f"00-{TRACE}-{PARENT}-00")
    assert kept.spans == []
    assert ids is not None
    assert (ids.trace_id, ids.sampled, ids.request_id) == (TRACE, False, "request-1")
