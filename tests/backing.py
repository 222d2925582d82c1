"""Backing services of this machine, which others use too: each test has a database and a queue of its own on them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

from commands import run, succeed
from environments import CHASSIS_TESTS, chassis_path, without_project
from required import ADDRESSES, require_server

POSTGRESQL = ADDRESSES["postgresql"]
BROKERS = {kind: ADDRESSES[kind] for kind in ("redis", "nats")}
# Run by the Python of the services, which has the drivers.
EXECUTE = """
import asyncio, asyncpg, sys

async def execute(url, statement):
    connection = await asyncpg.connect(url, timeout=5)
    await connection.execute(statement)
    await connection.close()

asyncio.run(execute(*sys.argv[1:]))
"""
REMOVE = "import asyncio, sys; from tasks import queues; asyncio.run(queues.remove(*sys.argv[1:]))"


@contextlib.contextmanager
def database(python: Path) -> Iterator[str]:
    """The URL of a new, empty database in PostgreSQL. Skips the test if there is none, or fails it if it must be."""
    require_server(POSTGRESQL)
    name = f"twelvefold_{secrets.token_hex(6)}"
    succeed(python, "-c", EXECUTE, POSTGRESQL, f"CREATE DATABASE {name}")
    try:
        yield f"{POSTGRESQL.rpartition('/')[0]}/{name}"
    finally:
        succeed(python, "-c", EXECUTE, POSTGRESQL, f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def queue(kind: str, python: Path) -> Iterator[dict[str, str]]:
    """The variables for a queue of one's own. Skips the test if there is no such server, or fails it if it must be."""
    url, name = BROKERS[kind], f"twelvefold-{secrets.token_hex(6)}"
    require_server(url)
    try:
        yield {"BROKER_URL": url, "APP_TASKS_QUEUE": name}
    finally:
        path = chassis_path(CHASSIS_TESTS, CHASSIS_TESTS.parent)
        done = run(python, "-c", REMOVE, url, name, env={**without_project(), "PYTHONPATH": path})
        assert done.returncode == 0, done.stderr
