"""Engines: SQLite and PostgreSQL, each with what makes it fit for a service."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import URL, event
from sqlalchemy.engine import Connection, ExecutionContext
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from .address import Address, address
from .pool import Pool, keep_fresh, take_leave
from .settings import DatabaseSettings

GRACE_SECONDS = 1.0
"""How long after the server should have ended a statement the client stops waiting for it."""
LOCK_SECONDS = 60.0
"""How long a migration waits for whoever writes into the same SQLite file."""
READING = ("SELECT", "PRAGMA", "EXPLAIN", "VALUES")


def serving_engine(settings: DatabaseSettings) -> AsyncEngine:
    """An engine for requests and tasks: pooled, and every wait has an end. Connects to nothing yet."""
    where = address(settings.database_url)
    pool: dict[str, Any] = {
        "poolclass": Pool,
        "pool_size": settings.database_pool_size,
        "max_overflow": 0,
        "pool_timeout": settings.database_pool_seconds,
        "pool_use_lifo": True,  # what a rush opened and nobody needs may grow cold
    }
    if where.system == "sqlite":
        engine = _sqlite(where, busy_seconds=settings.database_statement_seconds, foreign_keys=True, **pool)
        event.listen(engine.sync_engine, "invalidate", _interrupt)
        return engine
    engine = _postgresql(
        where,
        connect_seconds=settings.database_connect_seconds,
        statement_seconds=settings.database_statement_seconds,
        **pool,
    )
    keep_fresh(engine)
    return engine


def migrating_engine(settings: DatabaseSettings) -> AsyncEngine:
    """An engine for migrations: one connection, and no statement that takes too long."""
    where = address(settings.database_url)
    if where.system == "sqlite":
        # Alembic changes a table in SQLite by making a new one: dropping the old one must not take the rows that
        # point to it along.
        return _sqlite(where, busy_seconds=LOCK_SECONDS, foreign_keys=False, poolclass=NullPool)
    return _postgresql(
        where, connect_seconds=settings.database_connect_seconds, statement_seconds=None, poolclass=NullPool
    )


async def close(engine: AsyncEngine) -> None:
    """Close every connection; one whose server does not say good-bye in time, without it."""
    if engine.dialect.name == "postgresql":
        event.listen(engine.sync_engine, "close", take_leave)
    await engine.dispose()


def _postgresql(
    where: Address, *, connect_seconds: float, statement_seconds: float | None, **options: Any
) -> AsyncEngine:
    import asyncpg

    # asyncpg reads the URL itself, as libpq would: sslmode, several hosts, a socket, the password file.
    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(where.url, timeout=connect_seconds, **_limits(statement_seconds))

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, hide_parameters=True, **options)


def _limits(statement_seconds: float | None) -> dict[str, Any]:
    if statement_seconds is None:
        return {}
    # The server's limit spares the connection, and holds too when this process is gone; the client's is for a server
    # that does not answer at all.
    return {
        "command_timeout": statement_seconds + GRACE_SECONDS,
        "server_settings": {"statement_timeout": str(round(statement_seconds * 1000))},
    }


def _sqlite(where: Address, *, busy_seconds: float, foreign_keys: bool, **options: Any) -> AsyncEngine:
    url = URL.create("sqlite+aiosqlite", database=where.url)
    engine = create_async_engine(url, connect_args={"timeout": busy_seconds}, hide_parameters=True, **options)

    @event.listens_for(engine.sync_engine, "do_connect")
    def make_folder(*_: Any) -> None:
        Path(where.url).parent.mkdir(parents=True, exist_ok=True)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(dbapi_connection: Any, _: Any) -> None:
        dbapi_connection.isolation_level = None  # sqlite3 would begin by itself, and not before a CREATE TABLE
        cursor = dbapi_connection.cursor()
        # WAL: readers and one writer do not wait for each other. With it, NORMAL cannot corrupt the file; after a power
        # cut the last commits may be missing.
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", f"foreign_keys = {int(foreign_keys)}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


def lock_before_writing(engine: AsyncEngine) -> None:
    """Let transactions of SQLite begin with the lock that they need. Listens after whoever measures statements."""
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "before_cursor_execute", _begin_before_writing)


def _begin_before_writing(
    connection: Connection,
    cursor: Any,
    statement: str,
    parameters: Any,
    context: ExecutionContext | None,
    executemany: bool,
) -> None:
    """Begin a transaction before the first statement that writes or locks, and take the lock for writing with it.

    What reads before it sees what was committed last, as in PostgreSQL. Were it in the transaction, SQLite would refuse
    the write as soon as somebody else has written in between, and no waiting would help.
    """
    raw = connection.connection.driver_connection
    if raw is not None and not raw.in_transaction and (_locks(context) or not _reads(statement)):
        cursor.execute("BEGIN IMMEDIATE")


def _reads(statement: str) -> bool:
    return statement.lstrip()[:8].upper().startswith(READING)


def _locks(context: ExecutionContext | None) -> bool:
    # SQLite has no SELECT ... FOR UPDATE, and SQLAlchemy leaves it out.
    selected = getattr(getattr(context, "compiled", None), "statement", None)
    return getattr(selected, "_for_update_arg", None) is not None


def _interrupt(dbapi_connection: Any, *_: Any) -> None:
    # A thread executes the statement whatever becomes of the request; closing waits for it.
    interrupt_soon(dbapi_connection.driver_connection)


def interrupt_soon(driver: Any) -> None:
    """End the statement that a connection of aiosqlite executes."""
    _interrupting.add(task := asyncio.get_running_loop().create_task(driver.interrupt()))
    task.add_done_callback(_interrupting.discard)


_interrupting: set[asyncio.Task[None]] = set()
