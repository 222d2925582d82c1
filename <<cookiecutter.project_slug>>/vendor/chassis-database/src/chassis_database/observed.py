"""Watches statements: how long they take, which fail, and why."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from prometheus_client import CollectorRegistry
from sqlalchemy import event
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine

from chassis.telemetry import tracing

from .address import Address, address
from .engine import interrupt_soon
from .errors import UnavailableError, unavailable
from .metrics import OPERATIONS, DatabaseMetrics, metrics_in
from .pool import Pool
from .settings import DatabaseSettings

LONGEST_TEXT = 2000  # characters of a statement in a line of the log or a span

log = logging.getLogger(__name__)


def observe(engine: AsyncEngine, settings: DatabaseSettings, *, registry: CollectorRegistry | None) -> None:
    """Watch `engine`: metrics in `registry`, slow statements in the log, spans, limits that SQLite has not itself."""
    watch = Watch(settings, metrics_in(registry or CollectorRegistry()))
    event.listen(engine.sync_engine, "before_cursor_execute", watch.begin)
    event.listen(engine.sync_engine, "after_cursor_execute", watch.end)
    event.listen(engine.sync_engine, "handle_error", watch.fail)
    if isinstance(engine.pool, Pool):
        engine.pool.obtained = watch.metrics.wait.observe
        engine.pool.failed = watch.count


class Watch:
    """Told of each statement before and after, by SQLAlchemy's events."""

    def __init__(self, settings: DatabaseSettings, metrics: DatabaseMetrics) -> None:
        self.metrics = metrics
        self._where = address(settings.database_url)
        self._slow = settings.database_slow_seconds or float("inf")
        self._limit = settings.database_statement_seconds if self._where.system == "sqlite" else None

    def begin(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        if self._limit:
            driver = connection.connection.driver_connection
            loop = asyncio.get_running_loop()
            context.chassis_limit = loop.call_later(self._limit, interrupt_soon, driver)
        context.chassis_began = time.perf_counter()

    def end(
        self, connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        self._account(statement, context, None)

    def fail(self, failure: ExceptionContext) -> BaseException | None:
        """Returns what is raised instead of the driver's error, if that is no error of the statement itself."""
        error, context = failure.original_exception, failure.execution_context
        failure.invalidate_pool_on_disconnect = False  # each connection is looked at before it is used
        if not isinstance(error, Exception):  # the request was cancelled
            self._stop_limit(context)
            return None
        if isinstance(error, TimeoutError):  # the server said nothing: the connection is of no use any more
            failure.is_disconnect = True
        if context is not None and failure.statement:
            self._account(failure.statement, context, error)
        told = unavailable(error, disconnected=failure.is_disconnect)
        self.count(told)
        return told

    def count(self, error: UnavailableError | None) -> None:
        self.metrics.errors.labels(error.kind if error else "statement").inc()

    def _account(self, statement: str, context: Any, error: Exception | None) -> None:
        self._stop_limit(context)
        seconds = time.perf_counter() - context.chassis_began
        operation = operation_of(statement, context)
        self.metrics.duration[operation].observe(seconds)
        if seconds > self._slow:
            text = {"statement": statement[:LONGEST_TEXT], "seconds": round(seconds, 4), "operation": operation}
            log.warning("slow statement", extra=text)
        if tracing.is_active():
            tracing.called(operation.upper(), seconds, attributes_of(self._where, operation, statement), error)

    def _stop_limit(self, context: Any) -> None:
        if limit := getattr(context, "chassis_limit", None):
            limit.cancel()


def operation_of(statement: str, context: Any) -> str:
    """select, insert, update, delete or other; what a WITH comes to is not told by its first word."""
    word = statement.lstrip()[:6].lower()  # all four are as long
    if word in OPERATIONS:
        return word
    kinds = {"insert": context.isinsert, "update": context.isupdate, "delete": context.isdelete}
    return next((kind for kind, is_it in kinds.items() if is_it), "select" if word.startswith("with") else "other")


def attributes_of(where: Address, operation: str, statement: str) -> dict[str, str | int]:
    """A statement by OpenTelemetry's names; without the values of its parameters, which it does not hold."""
    attributes: dict[str, str | int] = {
        "db.system.name": where.system,
        "db.operation.name": operation.upper(),
        "db.query.text": statement[:LONGEST_TEXT],
        "db.namespace": where.name,
    }
    if where.host:
        attributes |= {"server.address": where.host, "server.port": where.port}
    return attributes
