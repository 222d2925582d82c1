import sqlite3

import pytest

from chassis_database.errors import unavailable


def failed(code: str) -> sqlite3.Error:
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorcode = getattr(sqlite3, code)
    return error


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("SQLITE_BUSY", "busy"),
        ("SQLITE_BUSY_SNAPSHOT", "busy"),
        ("SQLITE_LOCKED_SHAREDCACHE", "busy"),
        ("SQLITE_INTERRUPT", "timeout"),
        ("SQLITE_FULL", "away"),
        ("SQLITE_IOERR_READ", "away"),
        ("SQLITE_CANTOPEN_ISDIR", "away"),
    ],
)
def test_a_failure_of_sqlite_s_is_known_by_what_it_is_first_of_all(code: str, kind: str) -> None:
    told = unavailable(failed(code))
    assert told is not None
    assert (told.status, told.kind) == (503, kind)


@pytest.mark.parametrize("code", ["SQLITE_ERROR", "SQLITE_CONSTRAINT_UNIQUE", "SQLITE_READONLY_DBMOVED"])
def test_the_statement_s_own_errors_are_the_team_s(code: str) -> None:
    assert unavailable(failed(code)) is None
