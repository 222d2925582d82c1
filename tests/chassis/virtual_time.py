"""Time that passes only when nothing else is left to do: an hour takes no moment, and no machine is too slow."""

from __future__ import annotations

import asyncio
import selectors
import time
from typing import Any

import pytest


class VirtualTime:
    """The clocks of a test that touches neither sockets nor threads."""

    def __init__(self) -> None:
        self._seconds = 0.0
        # From now: what took the function itself before goes on with the real clock.
        self._began, self._began_at = time.monotonic(), time.time()

    def monotonic(self) -> float:
        return self._began + self._seconds

    def time(self) -> float:
        return self._began_at + self._seconds

    def pass_by(self, seconds: float) -> None:
        """Let time pass, as if somebody held the loop for so long."""
        self._seconds += seconds

    def loop(self) -> asyncio.AbstractEventLoop:
        return _Loop(self)

    def rule(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Be the time of this process."""
        for counts in ("monotonic", "perf_counter"):
            monkeypatch.setattr(time, counts, self.monotonic)
        monkeypatch.setattr(time, "time", self.time)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualTime) -> None:
        self._clock = clock
        super().__init__(_Selector(clock))

    def time(self) -> float:
        return self._clock.monotonic()


class _Selector(selectors.DefaultSelector):
    """Does not wait for the next timer: it puts the clock there."""

    def __init__(self, clock: VirtualTime) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout is None or timeout <= 0:
            return ready or super().select(timeout)
        self._clock.pass_by(timeout)
        return []
