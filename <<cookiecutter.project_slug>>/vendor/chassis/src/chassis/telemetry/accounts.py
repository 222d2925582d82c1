"""Accounts: what was answered, told to the metrics and the access log a moment later, many requests at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from .access import Answered, Write, through_logging
from .metrics import Metrics

LATER = 0.01  # seconds


class Accounts:
    """Collects what was answered.

    Telling of fifty requests in a row costs a fraction of telling of each in between: its code and its data are at
    hand then, and one system call writes all lines. A process that is killed takes what happened in its last
    hundredth of a second with it. Lines that go through `logging` are not put off: somebody may be looking.
    """

    def __init__(self, *, metrics: Metrics, access_log: Write) -> None:
        self._metrics = metrics
        self._access_log = access_log
        self._at_once = access_log is through_logging
        self._answered: list[Answered] = []
        self._waits = False

    def add(self, answered: Answered) -> None:
        """Account for one request."""
        self._answered.append(answered)
        if self._at_once:
            self.settle()
        elif not self._waits:
            self._waits = True
            asyncio.get_running_loop().call_later(LATER, self.settle)

    def settle(self) -> None:
        """Tell of all that has not been told of."""
        self._waits = False
        answered, self._answered = self._answered, []
        if not answered:
            return
        self._count(answered)
        self._access_log(answered)

    def _count(self, answered: Sequence[Answered]) -> None:
        alike: dict[tuple[str, str, int], tuple[list[float], list[int]]] = {}
        for ids, method, _, _, route, status, seconds, size, *_ in answered:
            if ids.sampled:
                self._metrics.observe(method, route, status, seconds, size, ids.trace_id)
                continue
            kind = (method, route, status)
            durations, sizes = alike.get(kind) or alike.setdefault(kind, ([], []))
            durations.append(seconds)
            sizes.append(size)
        for (method, route, status), (durations, sizes) in alike.items():
            self._metrics.observe_alike(method, route, status, durations, sizes)
