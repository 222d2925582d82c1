"""What Prometheus is told of the database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from weakref import WeakKeyDictionary

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from sqlalchemy.ext.asyncio import AsyncEngine

from .pool import Pool

QUERY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
OPERATIONS = ("select", "insert", "update", "delete", "other")


class DatabaseMetrics:
    """Statements by what they do, waits for a connection, errors by kind; in `registry`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        duration = Histogram(
            "database_query_duration_seconds",
            "From sending a statement to its last row.",
            ["operation"],
            buckets=QUERY_BUCKETS,
            registry=registry,
        )
        self.duration = {operation: duration.labels(operation) for operation in OPERATIONS}
        self.wait = Histogram(
            "database_pool_wait_seconds",
            "How long a session waited for a connection, until it had one or gave up.",
            buckets=QUERY_BUCKETS,
            registry=registry,
        )
        self.errors = Counter(
            "database_errors",
            "Statements and connections that failed: away, busy or timeout; statement is the statement's own error.",
            ["kind"],
            registry=registry,
        )


class PoolCollector:
    """The connections of one process by what they do.

    :param engine: gives the engine, or None where the database is not open.
    """

    def __init__(self, engine: Callable[[], AsyncEngine | None]) -> None:
        self._engine = engine

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily("database_pool_connections", "Connections to the database.", labels=["state"])
        engine = self._engine()
        if engine is not None and isinstance(engine.pool, Pool):
            family.add_metric(["used"], engine.pool.checkedout())
            family.add_metric(["idle"], engine.pool.checkedin())
        return [family]


_metrics: WeakKeyDictionary[CollectorRegistry, DatabaseMetrics] = WeakKeyDictionary()


def metrics_in(registry: CollectorRegistry) -> DatabaseMetrics:
    """Those of `registry`: it refuses a second metric of one name, and a service may open its database twice."""
    return _metrics.get(registry) or _metrics.setdefault(registry, DatabaseMetrics(registry))
