"""Metrics: rate, errors and duration of requests, in Prometheus' form."""

import logging
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Sequence

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Summary,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from . import process_group

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OPENMETRICS = "application/openmetrics-text"
LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

Request_ = tuple[str, str, int]
Recorders = tuple[Counter, Histogram, Summary]

log = logging.getLogger("chassis.metrics")

process_group.count_by_slot()  # before the first metric, the chassis' or the team's, is made
# They are as many series again, and nothing reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """The metrics of one application.

    What counts events is in `registry`; what tells of this one process is in `of_process`. With several processes
    the first is summed, and the second bears the label `worker`. The registry that prometheus_client uses unless
    told otherwise is shown too, so a team's `Counter("orders", …)` needs no wiring.

    :param collectors: the team's own; one that raises is left out of the answer, and logged.
    """

    def __init__(self, *, collectors: Iterable[Collector] = ()) -> None:
        self.in_flight = 0
        self.settle: Callable[[], None] = lambda: None
        """Called before the figures are read."""
        self.group: process_group.ProcessGroup | None = None
        self._recorders: dict[Request_, Recorders] = {}
        self._define_events(CollectorRegistry())
        self._define_process(CollectorRegistry(support_collectors_without_names=True))
        for collector in collectors:
            self.of_process.register(_Guarded(collector))

    def _define_events(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.requests = Counter("http_requests", "Requests answered.", ["method", "route", "status"], registry=registry)
        self.duration = Histogram(
            "http_request_duration_seconds",
            "From the request's arrival in the application to the response's last byte.",
            ["method", "route"],
            registry=registry,
        )
        self.response_size = Summary(
            "http_response_size_bytes", "Size of the response's body.", ["method", "route"], registry=registry
        )
        self.loop_lag = Histogram(
            "event_loop_lag_seconds",
            "How late the event loop called what it was to call at a given time.",
            buckets=LAG_BUCKETS,
            registry=registry,
        )

    def _define_process(self, registry: CollectorRegistry) -> None:
        self.of_process = registry
        self.info = Info("app", "What is running.", registry=registry)
        in_flight = Gauge("http_requests_in_flight", "Requests that are being answered now.", registry=registry)
        in_flight.set_function(lambda: self.in_flight)

    def observe(
        self, method: str, route: str, status: int, seconds: float, response_bytes: int, trace_id: str | None = None
    ) -> None:
        """Account for one answered request.

        :param route: the template of the route, never the path: each path would make new series.
        :param trace_id: becomes the exemplar of this request's bucket; None if the request is not sampled.
        """
        count, duration, size = self._of(method, route, status)
        count.inc()
        size.observe(response_bytes)
        duration.observe(seconds, {"trace_id": trace_id} if trace_id else None)

    def observe_alike(
        self, method: str, route: str, status: int, seconds: Sequence[float], response_bytes: Iterable[int]
    ) -> None:
        """Account for answered requests that nothing tells apart but how long they took and how much they sent.

        What `observe` would do for each: here each number is locked and changed once, and not once a request.
        """
        count, duration, size = self._of(method, route, status)
        count.inc(len(seconds))
        size._count.inc(len(seconds))
        size._sum.inc(sum(response_bytes))
        duration._sum.inc(sum(seconds))
        bounds = duration._upper_bounds
        for bucket, number in Counts(bisect_left(bounds, each) for each in seconds).items():
            duration._buckets[bucket].inc(number)

    def _of(self, method: str, route: str, status: int) -> Recorders:
        return self._recorders.get((method, route, status)) or self._resolve(method, route, status)

    def _resolve(self, method: str, route: str, status: int) -> Recorders:
        # Finding the children by their labels costs more than all the rest, so it is done once.
        known = method if method in METHODS else "OTHER"
        recorders = (
            self.requests.labels(known, route, status),
            self.duration.labels(known, route),
            self.response_size.labels(known, route),
        )
        if known == method:  # anybody can invent methods; only these few are kept
            self._recorders[method, route, status] = recorders
        return recorders

    async def endpoint(self, request: Request) -> Response:
        """GET /metrics, as OpenMetrics where the Accept header asks for it."""
        self.settle()
        families = self._all() if self.group is None else await self.group.families(self.local())
        encode, content_type = _encoder(request.headers.get("accept", ""))
        return Response(encode(_Families(_distinct(families))), headers={"content-type": content_type})

    def local(self) -> list[Metric]:
        """The families that tell of this one process, or that prometheus_client does not sum over processes."""
        self.settle()
        return [*self.of_process.collect(), *process_group.unsummed(REGISTRY)]

    def _all(self) -> Iterator[Metric]:
        for registry in (self.registry, self.of_process, REGISTRY):
            yield from registry.collect()


def _encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    # The whole header is not handed on: prometheus_client raises TypeError for a version that is no number.
    return choose_encoder(OPENMETRICS if OPENMETRICS in accept else "")


def _distinct(families: Iterable[Metric]) -> list[Metric]:
    # A collector that is registered twice must not make the answer one that Prometheus refuses.
    by_name: dict[str, Metric] = {}
    for family in families:
        by_name.setdefault(family.name, family)
    return list(by_name.values())


class _Families:
    """Families that were collected, as the collector that prometheus_client encodes."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


class _Guarded:
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def collect(self) -> Iterable[Metric]:
        try:
            return list(self._collector.collect())
        except Exception:
            log.exception("the collector %s failed", type(self._collector).__name__)
            return []
