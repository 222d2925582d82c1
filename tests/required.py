"""What a test needs of the machine. Without it the test is skipped; in CI, where it must be there, it fails."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import NoReturn, TypeVar
from urllib.parse import urlsplit

import pytest

TOOLS, SERVICES = "REQUIRE_TOOLS", "REQUIRE_SERVICES"
# Where the tests find the servers, which they share with others; a pipeline may have them on machines of their own.
ADDRESSES = {
    "postgresql": os.environ.get("TEST_POSTGRESQL_URL", "postgresql://postgres@127.0.0.1:5432/postgres"),
    "redis": os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0"),
    "amqp": os.environ.get("TEST_AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/"),
    "nats": os.environ.get("TEST_NATS_URL", "nats://127.0.0.1:4222"),
}
PORTS = {"amqp": 5672, "nats": 4222, "postgresql": 5432, "redis": 6379}
Found = TypeVar("Found")


def require(found: Found | None, what: str, variable: str = TOOLS) -> Found:
    """Return what was found; where nothing was, the test cannot be run: it needs `what`."""
    return found or missing(what, variable)


def missing(what: str, variable: str = TOOLS) -> NoReturn:
    """Skip the test, which needs `what`, or fail it where `variable` is 1, as .ci/run sets it."""
    if os.environ.get(variable) == "1":
        pytest.fail(f"needs {what}, which must be here: {variable}=1")
    pytest.skip(f"needs {what}")


def require_program(name: str, *places: Path) -> Path:
    """Where a program is: at one of `places`, or on the PATH."""
    found = next((str(place) for place in places if place.exists()), None) or shutil.which(name)
    return Path(require(found, f"{name}, which .ci/run installs"))


def require_proc() -> None:
    """Linux tells of processes there: on macOS the test is skipped."""
    require(Path("/proc/self/status").exists(), "/proc, which Linux has")


def require_loopback(host: str) -> None:
    """An address of this machine: Linux has all of 127.0.0.0/8, macOS one until somebody adds another."""
    try:
        socket.create_server((host, 0)).close()
    except OSError:
        missing(f"the address {host}: sudo ifconfig lo0 alias {host}")


def require_server(url: str) -> None:
    """The server of a URL must answer; one that is in this process does."""
    place = urlsplit(url)
    port = place.port or PORTS.get(place.scheme)
    if port is None:
        return
    try:
        socket.create_connection((str(place.hostname), port), timeout=2).close()
    except OSError:
        missing(f"{place.scheme} at {place.hostname}:{port}", SERVICES)
