"""The access log: one line a request, written by the shortest way there is."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

import msgspec

from . import context, logs
from .lines import timestamp
from .stdout import Stdout

Answered = tuple[context.Ids, str, str, str | None, str, int, float, int, float, str | None]
"""One request: ids, method, path, the client's address, the route's template, status, seconds, bytes of the response,
when it was answered, in seconds since the epoch, and who was calling. A plain tuple, because one is made for every
request."""

Write = Callable[[Sequence[Answered]], None]

log = logging.getLogger("chassis.access")


class AccessSettings(logs.LogSettings, Protocol):
    """What of the settings decides how requests are logged."""

    @property
    def access_log(self) -> str: ...


def writer(settings: AccessSettings, *, version: str) -> Write:
    """What tells of requests, as `settings` say. Where a person reads, the lines are as all others."""
    if settings.access_log == "off":
        return nowhere
    if settings.access_log == "direct" and logs.is_json(settings):
        return direct(settings, version=version, stdout=Stdout())
    return through_logging


def direct(settings: AccessSettings, *, version: str, stdout: Stdout) -> Write:
    """Write lines of JSON straight to `stdout`.

    A record that goes through `logging` costs a quarter of a small request; handlers and filters of the team's do
    not see these lines, and levels do apply.
    """
    constant = (
        f'"service":{quoted(settings.name)},"version":{quoted(version)},"environment":{quoted(settings.environment)}'
    )

    def write(answered: Sequence[Answered]) -> None:
        if log.isEnabledFor(logging.INFO):
            stdout.write("".join([line(constant, *each) for each in answered]).encode())

    return write


def line(
    constant: str,
    ids: context.Ids,
    method: str,
    path: str,
    client: str | None,
    route: str,
    status: int,
    seconds: float,
    size: int,
    when: float,
    subject: str | None = None,
) -> str:
    """One access line, with its line feed. `constant` are members that every line has.

    Put together as text: encoding an object costs three times as much. What a client chose is quoted, but for the
    ids, whose form was checked.
    """
    request_id, trace_id, span_id, _, _ = ids
    method, path, client = quoted(method), quoted(path), quoted(client) if client else "null"
    who = f',"subject":{quoted(subject)}' if subject else ""
    return (
        f'{{"timestamp":"{timestamp(when)}","level":"info","logger":"chassis.access",'
        f'"message":"{method[1:-1]} {path[1:-1]} {status}",{constant},'
        f'"request_id":"{request_id}","trace_id":"{trace_id}","span_id":"{span_id}",'
        f'"method":{method},"path":{path},"route":{quoted(route)},"status":{status},'
        f'"duration_ms":{seconds * 1000:.3f},"response_bytes":{size},"client":{client}{who}}}\n'
    )


@lru_cache(maxsize=2048)
def quoted(text: str) -> str:
    """`text` as a JSON string."""
    try:
        return msgspec.json.encode(text).decode()
    except UnicodeEncodeError:  # half a character, from a server that is not ours
        return json.dumps(text)


def through_logging(answered: Sequence[Answered]) -> None:
    """Tell of each request as of any other event, with the same members."""
    for ids, method, path, client, route, status, seconds, size, _, subject in answered:
        members = {
            "method": method,
            "path": path,
            "route": route,
            "status": status,
            "duration_ms": round(seconds * 1000, 3),
            "response_bytes": size,
            "client": client,
            **({"subject": subject} if subject else {}),
        }
        token = context.current.set(ids)
        log.info("%s %s %d", method, path, status, extra=members)
        context.current.reset(token)


def nowhere(answered: Sequence[Answered]) -> None:
    """Tell nobody."""
