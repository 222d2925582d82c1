"""What goes wrong with the database itself, told from what goes wrong with a statement."""

from __future__ import annotations

import logging
import sqlite3

from sqlalchemy import exc

from chassis.http.errors import RETRY_SOON, ProblemError

log = logging.getLogger(__name__)

# Of PostgreSQL: connection exceptions, insufficient resources, operator intervention (a statement that took too long,
# a server that goes down or comes up). https://www.postgresql.org/docs/current/errcodes-appendix.html
AWAY = ("08", "53", "57")
TOO_LONG = "57014"
# Of SQLite: somebody else writes, the disk, the file. https://sqlite.org/rescode.html
SQLITE_AWAY = frozenset({
    sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
})  # fmt: skip


class UnavailableError(ProblemError):
    """The database is away, busy or too slow: 503, and the caller may try again.

    Nothing of the session was kept; only where the commit itself was cut off, that is not known. What the driver said
    is its `__cause__`.
    """

    status = 503
    title = "The database cannot be used now"

    def __init__(self, kind: str) -> None:
        """:param kind: away, busy or timeout; the label of `database_errors_total`."""
        super().__init__("Try again in a moment.", headers=RETRY_SOON)
        self.kind = kind


class SchemaBehindError(Exception):
    """The tables are not those that the code expects: `db upgrade` was not run."""


def unavailable(error: BaseException | None, *, disconnected: bool = False) -> UnavailableError | None:
    """The error that `error` of a driver or the pool is for the service; None if it is the statement's own."""
    kind = _kind(error)
    if kind is None and disconnected:
        kind = "away"
    if kind is None:
        return None
    log.warning("the database cannot be used: %s", _said(error), extra={"kind": kind})
    return UnavailableError(kind)


def _kind(error: BaseException | None) -> str | None:
    if isinstance(error, exc.TimeoutError):
        return "busy"
    if isinstance(error, exc.DBAPIError):
        return "away" if error.connection_invalidated else _kind(error.orig)
    if isinstance(error, sqlite3.Error):
        return _kind_of_sqlite(error)
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, OSError):
        return "away"
    state = getattr(error, "sqlstate", None)
    if state == TOO_LONG:
        return "timeout"
    return "away" if isinstance(state, str) and state.startswith(AWAY) else None


def _kind_of_sqlite(error: sqlite3.Error) -> str | None:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what only says more of it
    if code == sqlite3.SQLITE_INTERRUPT:
        return "timeout"
    if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return "busy"
    return "away" if code in SQLITE_AWAY else None


def _said(error: BaseException | None) -> str:
    error = error.orig if isinstance(error, exc.DBAPIError) and error.orig else error
    return f"{type(error).__name__}: {error}".rstrip(": ") if error else "no reason"
