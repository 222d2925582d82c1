"""The pool of connections: told from outside how long one was waited for, and what is wrong with one."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import event, exc
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry, PoolProxiedConnection

from .errors import UnavailableError, unavailable

PING_AFTER = 10.0
"""How long a connection may lie idle before it is asked for a sign of life, in seconds.

Asking each time, as SQLAlchemy's `pool_pre_ping` does, costs three round trips a session. A connection that the server
closed is known at once, without asking; what is left is one that went silent, through a firewall for example.
"""
PING_SECONDS = 1.0
LEAVE_SECONDS = 0.2  # a connection; all of them together have as long as a resource may take to close

Obtained = Callable[[float], None]


class Pool(AsyncAdaptedQueuePool):
    """SQLAlchemy's, whose errors are the service's own. Raises UnavailableError."""

    __module__ = "sqlalchemy.pool"  # its logger is SQLAlchemy's, which says little unless LOG_LEVEL asks for more

    obtained: Obtained | None = None
    """Called with the seconds that it took to get a connection, or to give up."""
    failed: Callable[[UnavailableError], None] | None = None

    def connect(self) -> PoolProxiedConnection:
        began = time.perf_counter()
        try:
            return super().connect()
        except UnavailableError:
            raise
        except Exception as error:
            # Whatever a driver says while it connects, a wrong password included: there is no connection.
            told = unavailable(error, disconnected=True)
            if told is None:
                raise
            if self.failed:
                self.failed(told)
            raise told from error
        finally:
            if self.obtained:
                self.obtained(time.perf_counter() - began)


def keep_fresh(engine: AsyncEngine) -> None:
    """Let the pool of `engine`, which is PostgreSQL's, hand out no connection that is known or likely to be dead."""
    event.listen(engine.sync_engine, "connect", _note_use)
    event.listen(engine.sync_engine, "checkin", _note_use)
    event.listen(engine.sync_engine, "checkout", _look_at)
    event.listen(engine.sync_engine, "invalidate", hang_up)


def _note_use(dbapi_connection: Any, record: ConnectionPoolEntry) -> None:
    if dbapi_connection is not None:
        record.info["used"] = time.monotonic()


def _look_at(dbapi_connection: Any, record: ConnectionPoolEntry, proxy: PoolProxiedConnection) -> None:
    if dbapi_connection.driver_connection.is_closed():
        raise exc.DisconnectionError
    if time.monotonic() - record.info["used"] > PING_AFTER:
        try:
            dbapi_connection.run_async(_ping)
        except Exception as error:
            raise exc.DisconnectionError from error


async def _ping(driver: Any) -> None:
    await driver.execute(";", timeout=PING_SECONDS)


def take_leave(dbapi_connection: Any, *_: Any) -> None:
    """Close a connection to PostgreSQL as it should be, if the server answers at once."""
    with contextlib.suppress(Exception):  # what comes next closes it in any case
        dbapi_connection.run_async(_close)
    hang_up(dbapi_connection)


async def _close(driver: Any) -> None:
    await driver.close(timeout=LEAVE_SECONDS)


def hang_up(dbapi_connection: Any, *_: Any) -> None:
    """Close a connection to PostgreSQL without a word.

    SQLAlchemy would say good-bye to the server and wait for its answer, two seconds long, while a request waits.
    """
    dbapi_connection.driver_connection.terminate()
