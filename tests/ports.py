"""Ports of this machine."""

from __future__ import annotations

import contextlib
import random
import socket

# Below those that the kernel gives to whoever connects or asks for any.
FIRST, LAST = 20_000, 32_000


def free_port() -> int:
    """One that nobody listens on, for what cannot choose its own.

    The kernel gives it to nobody else: it is still free a moment later, and when a server on it starts again.
    """
    while True:
        port = random.randrange(FIRST, LAST)  # noqa: S311
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
