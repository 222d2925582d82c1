"""Where the database is, as `DATABASE_URL` says it. Nothing is imported for it, so that settings are read fast."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

EXPECTED = "should be sqlite:///data/service.db or postgresql://user:password@host:5432/name"
# What people and platforms write for the same, and SQLAlchemy's names for it with the driver.
POSTGRESQL = ("postgresql", "postgres", "postgresql+asyncpg")
SQLITE = ("sqlite", "sqlite+aiosqlite")
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# libpq's own affairs, which hosts of databases put into their URLs; asyncpg would hand them to the server, which
# refuses what it does not know.
CLIENTS_OWN = frozenset({
    "channel_binding", "connect_timeout", "gssencmode", "keepalives", "keepalives_count", "keepalives_idle",
    "keepalives_interval", "sslcompression", "sslsni", "tcp_user_timeout",
})  # fmt: skip
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]*)(:\d{1,5})?")


class Address(NamedTuple):
    """A database. `url` is what its driver takes: a path for SQLite, a DSN for PostgreSQL."""

    system: str
    """sqlite or postgresql, as OpenTelemetry names them too."""
    url: str
    host: str = ""
    port: int = 0
    name: str = ""


def address(url: str) -> Address:
    """What `url` means. Raises ValueError with what was expected; its message holds nothing of `url`."""
    parts = _split(url)
    if parts.scheme in SQLITE:
        return _sqlite(parts)
    if parts.scheme in POSTGRESQL:
        return _postgresql(parts)
    raise ValueError(EXPECTED)


def valid(url: str) -> str:
    """`url` itself. Raises ValueError as `address` does."""
    address(url)
    return url


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # an IPv6 address without its end
        raise ValueError(EXPECTED) from None


def _sqlite(parts: SplitResult) -> Address:
    if parts.netloc:
        raise ValueError(
            "should have three slashes before a path that begins in this folder, four before one that begins at the "
            "root: sqlite:///data/service.db, sqlite:////var/lib/service.db"
        )
    if parts.query:
        raise ValueError("should have nothing behind the path of the file: the chassis sets what SQLite needs")
    path = unquote(parts.path.removeprefix("/"))
    if path in {"", ":memory:"}:
        # Each connection would have a database of its own, and all of them would be gone with the process.
        raise ValueError("should name a file, such as sqlite:///data/service.db: the data must outlive the process")
    if path.endswith("/") or "\0" in path:
        raise ValueError("should name a file, not a folder: sqlite:///data/service.db")
    return Address("sqlite", path, name=Path(path).stem)


def _postgresql(parts: SplitResult) -> Address:
    hosts = parts.netloc.rpartition("@")[2]
    matches = [HOST.fullmatch(host) for host in hosts.split(",")]
    if parts.fragment or not all(matches):
        raise ValueError(f"{EXPECTED}; in a password, write @ as %40, : as %3A, / as %2F, # as %23, ? as %3F, % as %25")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "ssl" in query:  # SQLAlchemy's name for it
        query["sslmode"] = {"true": "require", "false": "disable"}.get(query["ssl"], query["ssl"])
        del query["ssl"]
    if query.get("sslmode", "prefer") not in SSL_MODES:
        raise ValueError(f"should have one of these as sslmode: {', '.join(SSL_MODES)}")
    kept = {name: value for name, value in query.items() if name not in CLIENTS_OWN}
    dsn = parts._replace(scheme="postgresql", query=urlencode(kept)).geturl()
    host, port = matches[0].groups() if matches[0] else ("", None)
    return Address("postgresql", dsn, host=host, port=int(port[1:]) if port else 5432, name=parts.path[1:])
