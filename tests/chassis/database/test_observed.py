import asyncio
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import APIRouter
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, StatusCode
from prometheus_client import CollectorRegistry
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError
from starlette.testclient import TestClient

from chassis import Service, Settings
from chassis.telemetry import tracing
from chassis_database import Database, Session
from chassis_database.observed import operation_of
from chassis_database.settings import DatabaseSettings
from database.sample import Base, Item

pytestmark = pytest.mark.anyio
router = APIRouter()


class ServiceSettings(DatabaseSettings, Settings):
    pass


@router.get("/items/{name}")
async def items(session: Session, name: str) -> int:
    return len([*await session.scalars(select(Item).where(Item.name == name))])


@router.get("/wrong")
async def wrong(session: Session) -> None:
    await session.execute(text("SELECT nothing FROM nowhere"))


class Kept(SpanExporter):
    """Keeps the spans; a collector, without the way to it."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.spans += spans
        return SpanExportResult.SUCCESS


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    kept = Kept()
    monkeypatch.setattr(tracing, "_exporter", lambda name: kept)
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(trace._TRACER_PROVIDER_SET_ONCE, "_done", False)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    monkeypatch.delenv("OTEL_TRACES_SAMPLER", raising=False)
    yield kept
    tracing._active = None


@pytest.fixture
def settings(url: str, database: Database) -> ServiceSettings:
    settings = ServiceSettings(name="under-test", database_url=url, database_slow_seconds=1e-9)

    async def make_tables() -> None:
        async with database.open(settings), database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    asyncio.run(make_tables())
    return settings


Serve = Callable[[], TestClient]


@pytest.fixture
def client(database: Database, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Makes the service, once whatever it depends on has been set."""
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")

    def start() -> TestClient:
        service = Service(package="under_test", routers=[router], parts={"database": database})
        return TestClient(service.app(settings), raise_server_exceptions=False)

    return start


async def test_counts_statements_by_what_they_do(database: Database, settings: ServiceSettings) -> None:
    registry = CollectorRegistry()
    async with database.open(settings, registry=registry), database.session() as session:
        await session.execute(insert(Item).values(id=1, name="a"))
        await session.execute(update(Item).values(name="b"))
        await session.execute(select(Item))
        await session.execute(delete(Item))
    counted = {
        operation: registry.get_sample_value("database_query_duration_seconds_count", {"operation": operation})
        for operation in ("select", "insert", "update", "delete")
    }
    assert {name: count for name, count in counted.items() if name != "select"} == dict.fromkeys(
        ("insert", "update", "delete"), 1
    )
    assert counted["select"]
    assert registry.get_sample_value("database_pool_wait_seconds_count") == 1


async def test_counts_failures_by_kind(database: Database, settings: ServiceSettings) -> None:
    async def twice() -> None:
        async with database.session() as session:
            session.add_all([Item(name="a"), Item(name="a")])

    registry = CollectorRegistry()
    async with database.open(settings, registry=registry):
        with pytest.raises(IntegrityError):
            await twice()
    assert registry.get_sample_value("database_errors_total", {"kind": "statement"}) == 1


def test_shows_the_connections_of_the_process(client: Serve) -> None:
    with client() as asked:
        asked.get("/items/a")
        metrics = asked.get("/metrics").text
    assert 'database_pool_connections{state="used"} 0.0' in metrics
    assert 'database_pool_connections{state="idle"} 1.0' in metrics


def test_logs_a_slow_statement_without_its_values(client: Serve, caplog: pytest.LogCaptureFixture) -> None:
    with client() as asked:
        asked.get("/items/secret-name")
    (record,) = [each for each in caplog.records if each.getMessage() == "slow statement"][-1:]
    assert "FROM items" in record.statement  # type: ignore[attr-defined] # passed as extra
    assert record.operation == "select"  # type: ignore[attr-defined]
    assert "secret-name" not in json.dumps(vars(record), default=str)


def test_a_statement_is_a_span_below_the_requests(client: Serve, kept: Kept, settings: ServiceSettings) -> None:
    with client() as asked:
        asked.get("/items/secret-name")
    spans = {span.name: span for span in kept.spans}
    span, parent = spans["SELECT"], spans["GET /items/{name}"]
    assert span.parent is not None
    assert parent.context is not None
    assert span.parent.span_id == parent.context.span_id
    assert span.kind is SpanKind.CLIENT
    attributes = span.attributes or {}
    assert attributes["db.system.name"] == settings.database_url.split(":")[0]
    assert attributes["db.operation.name"] == "SELECT"
    assert "FROM items" in str(attributes["db.query.text"])
    assert "secret-name" not in str(attributes)
    assert span.start_time
    assert span.end_time
    assert span.start_time <= span.end_time


def test_a_statement_that_fails_is_a_span_that_says_so(client: Serve, kept: Kept) -> None:
    with client() as asked:
        assert asked.get("/wrong").status_code == 500
    (span,) = [
        span for span in kept.spans if span.kind is SpanKind.CLIENT and span.status.status_code is StatusCode.ERROR
    ]
    assert (span.attributes or {})["error.type"]


def test_requests_that_are_not_sampled_have_no_spans(
    client: Serve, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    with client() as asked:
        asked.get("/items/a")
    assert kept.spans == []


@pytest.mark.parametrize(
    ("statement", "operation"),
    [
        ("SELECT 1", "select"),
        ("\n  insert INTO items", "insert"),
        ("UPDATE items", "update"),
        ("DELETE FROM items", "delete"),
        ("WITH x AS (SELECT 1) SELECT 2", "select"),
        ("CREATE TABLE x", "other"),
        ("", "other"),
    ],
)
def test_what_a_statement_does(statement: str, operation: str) -> None:
    context = SimpleNamespace(isinsert=False, isupdate=False, isdelete=False)
    assert operation_of(statement, context) == operation


def test_what_a_statement_with_a_prelude_does() -> None:
    context = SimpleNamespace(isinsert=False, isupdate=True, isdelete=False)
    assert operation_of("WITH x AS (SELECT 1) UPDATE items", context) == "update"
