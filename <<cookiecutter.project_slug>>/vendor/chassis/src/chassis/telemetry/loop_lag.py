"""The event loop's lag: how long what is due waits because something else holds the loop."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator

EVERY = 0.25  # seconds


@contextlib.contextmanager
def lag_observed(observe: Callable[[float], object]) -> Iterator[None]:
    """Call `observe` with the running loop's lag in seconds, a few times a second."""
    clock = _Clock(observe)
    clock.wind()
    try:
        yield
    finally:
        clock.stop()


class _Clock:
    def __init__(self, observe: Callable[[float], object]) -> None:
        self._observe = observe
        self._loop = asyncio.get_running_loop()

    def wind(self) -> None:
        # The loop's own clock counts in milliseconds.
        self._due = time.perf_counter() + EVERY
        self._handle = self._loop.call_later(EVERY, self._strike)

    def stop(self) -> None:
        self._handle.cancel()

    def _strike(self) -> None:
        self._observe(max(0.0, time.perf_counter() - self._due))  # it may also be called a little early
        self.wind()
