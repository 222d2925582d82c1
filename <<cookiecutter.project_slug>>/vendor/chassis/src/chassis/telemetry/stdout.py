"""Standard output, for whole lines: whatever becomes of it, a request does not notice."""

import os
import select
import sys
import threading
import time

PATIENCE_SECONDS = 1.0
# One for all: a line that is longer than a pipe takes at once must not be cut by another thread's.
LOCK = threading.Lock()


class Stdout:
    """Writes each line whole. One that cannot be written, because the reader is gone or stuck, is dropped and counted.

    Tests and notebooks put something in place of `sys.stdout` that has no file descriptor; it is then written to.
    """

    def __init__(self) -> None:
        self.dropped = 0
        try:
            self._descriptor: int | None = sys.stdout.fileno()
        except (AttributeError, OSError, ValueError):
            self._descriptor = None

    def write(self, line: bytes) -> None:
        """Write `line`, which ends with a line feed."""
        try:
            with LOCK:
                if self._descriptor is None:
                    sys.stdout.write(line.decode("utf-8", "backslashreplace"))
                    return
                written = self._attempt(self._descriptor, line)
                if written < len(line):
                    self._rest(self._descriptor, line[written:])
        except (OSError, ValueError, AttributeError):  # closed, a full disk, no stdout at all
            self.dropped += 1

    @staticmethod
    def _attempt(descriptor: int, data: bytes) -> int:
        try:
            return os.write(descriptor, data)
        except BlockingIOError:
            return 0

    def _rest(self, descriptor: int, data: bytes) -> None:
        # Somebody made the pipe non-blocking, and it is full: wait a moment, so that a line is not cut in half.
        until = time.monotonic() + PATIENCE_SECONDS
        while data and time.monotonic() < until:
            select.select([], [descriptor], [], PATIENCE_SECONDS / 10)
            data = data[self._attempt(descriptor, data) :]
        if data:
            self.dropped += 1
