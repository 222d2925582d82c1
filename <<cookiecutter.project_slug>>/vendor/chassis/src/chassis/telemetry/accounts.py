"""Accounts: what was answered, told to the metrics and the access log a moment later, many requests at once."""

import asyncio
from collections.abc import Sequence

from .access import Told, Write, through_logging
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
        self._untold: list[Told] = []
        self._waits = False

    def add(self, told: Told) -> None:
        """Account for one request."""
        self._untold.append(told)
        if self._at_once:
            self.settle()
        elif not self._waits:
            self._waits = True
            asyncio.get_running_loop().call_later(LATER, self.settle)

    def settle(self) -> None:
        """Tell of all that has not been told of."""
        self._waits = False
        told, self._untold = self._untold, []
        if not told:
            return
        self._count(told)
        self._access_log(told)

    def _count(self, told: Sequence[Told]) -> None:
        alike: dict[tuple[str, str, int], tuple[list[float], list[int]]] = {}
        for ids, _, answered in told:
            kind, seconds = (answered.method, answered.route, answered.status), answered.duration_ms / 1000
            if ids.sampled:
                self._metrics.observe(*kind, seconds, answered.response_bytes, ids.trace_id)
                continue
            durations, sizes = alike.get(kind) or alike.setdefault(kind, ([], []))
            durations.append(seconds)
            sizes.append(answered.response_bytes)
        for kind, (durations, sizes) in alike.items():
            self._metrics.observe_alike(*kind, durations, sizes)
