"""The access log: one line a request, written by the shortest way there is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from starlette.types import Scope

from . import logs
from .context import Ids
from .lines import encode, timestamp
from .stdout import Stdout

log = logging.getLogger("chassis.access")

Write = Callable[[Scope, Ids, str, int, float, int], None]
"""Tells of one request: its scope, its ids, the route's template, the status, seconds, bytes of the response."""


class AccessSettings(logs.LogSettings, Protocol):
    """What of the settings decides how requests are logged."""

    @property
    def access_log(self) -> str: ...


class Line(msgspec.Struct):
    """The members of an access line, in their order. `client` is an address, without the port."""

    timestamp: str
    level: str
    logger: str
    message: str
    service: str
    version: str
    environment: str
    request_id: str
    trace_id: str
    span_id: str
    method: str
    path: str
    route: str
    status: int
    duration_ms: float
    response_bytes: int
    client: str | None


def writer(settings: AccessSettings, *, version: str) -> Write:
    """What tells of a request, as `settings` say. Where a person reads, the lines are as all others."""
    if settings.access_log == "off":
        return nowhere
    if settings.access_log == "direct" and logs.is_json(settings):
        return direct(settings, version=version, stdout=Stdout())
    return through_logging


def direct(settings: AccessSettings, *, version: str, stdout: Stdout) -> Write:
    """Write each line as JSON straight to `stdout`.

    A record that goes through `logging` costs a quarter of a small request; handlers and filters of the team's do
    not see these lines, and levels do apply.
    """
    service, environment = settings.name, settings.environment
    to_json = msgspec.json.Encoder().encode

    def write(scope: Scope, ids: Ids, route: str, status: int, seconds: float, size: int) -> None:
        if not log.isEnabledFor(logging.INFO):
            return
        method, path, client = scope["method"], scope["path"], scope.get("client")
        line = Line(
            timestamp(time.time()),
            "info",
            "chassis.access",
            f"{method} {path} {status}",
            service,
            version,
            environment,
            ids.request_id,
            ids.trace_id,
            ids.span_id,
            method,
            path,
            route,
            status,
            round(seconds * 1000, 3),
            size,
            client[0] if client else None,
        )
        try:
            stdout.write(to_json(line) + b"\n")
        except Exception:  # a path that is no Unicode, from a server that is not ours
            stdout.write(encode(msgspec.structs.asdict(line)) + b"\n")

    return write


def through_logging(scope: Scope, ids: Ids, route: str, status: int, seconds: float, size: int) -> None:
    """Tell of the request as of any other event, with the same members."""
    if not log.isEnabledFor(logging.INFO):
        return
    client = scope.get("client")
    members: dict[str, Any] = {
        "method": scope["method"],
        "path": scope["path"],
        "route": route,
        "status": status,
        "duration_ms": round(seconds * 1000, 3),
        "response_bytes": size,
        "client": client[0] if client else None,
    }
    log.info("%s %s %d", scope["method"], scope["path"], status, extra=members)


def nowhere(scope: Scope, ids: Ids, route: str, status: int, seconds: float, size: int) -> None:
    """Tell nobody."""
