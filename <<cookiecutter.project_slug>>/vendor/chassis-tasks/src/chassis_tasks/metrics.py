"""Metrics of tasks: how many, how long, how many wait."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
UNKNOWN = "unknown"
"""The label of tasks that this process does not know: anybody can send any name."""


class TaskMetrics:
    """The metrics of one process. The label `task` is the name of a task that the service has, or "unknown"."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sent = Counter("tasks_sent", "Tasks handed over, retries aside.", ["task"], registry=registry)
        self.ended = Counter("tasks", "Attempts that ended, by how.", ["task", "outcome"], registry=registry)
        self.duration = Histogram(
            "task_duration_seconds", "How long attempts took.", ["task"], buckets=SECONDS, registry=registry
        )
        self.wait = Histogram(
            "task_wait_seconds",
            "From when a task could be worked on until it was.",
            ["task"],
            buckets=SECONDS,
            registry=registry,
        )
        self.in_flight = self._gauge("tasks_in_flight", "Tasks that are being worked on.", registry)
        self.depth = self._gauge("tasks_queue_depth", "Tasks that wait, without the delayed ones.", registry)
        self.buried = self._gauge("tasks_buried", "Dead letters; 100 means that or more.", registry)
        self.schedules = self._gauge("tasks_scheduler_active", "Whether this process sends periodic tasks.", registry)

    @staticmethod
    def _gauge(name: str, what: str, registry: CollectorRegistry) -> Gauge:
        return Gauge(name, what, registry=registry, multiprocess_mode="livesum")
