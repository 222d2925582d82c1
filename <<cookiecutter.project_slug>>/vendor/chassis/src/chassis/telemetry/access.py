"""The access log: one line a request, written by the shortest way there is."""

import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import defstruct
from msgspec.structs import astuple, fields

from ..settings import Settings
from . import context, logs
from .lines import Event, encode_lines, timestamp
from .stdout import Stdout

log = logging.getLogger("chassis.access")


class Answered(msgspec.Struct, omit_defaults=True, gc=False):
    """One request and what became of it: the members of its line, in this order, after those of every line."""

    method: str
    path: str
    route: str
    """The route's template."""
    status: int
    duration_ms: float
    response_bytes: int
    client: str | None
    """The client's address."""
    subject: str | None = None
    """Who was calling, where that is known."""


Told = tuple[context.Ids, float, Answered]
"""Whose line this is, and when it was answered, in seconds since the epoch."""

Write = Callable[[Sequence[Told]], None]


def writer(settings: Settings, *, version: str) -> Write:
    """What tells of requests, as `settings` say. Where a person reads, the lines are as all others."""
    if settings.access_log == "off":
        return nowhere
    if settings.access_log == "direct" and logs.is_json(settings):
        return direct(settings, version=version, stdout=Stdout())
    return through_logging


def direct(settings: Settings, *, version: str, stdout: Stdout) -> Write:
    """Write lines of JSON straight to `stdout`.

    A record that goes through `logging` costs a quarter of a small request; handlers and filters of the team's do
    not see these lines, and levels do apply.
    """
    constant = settings.name, version, settings.environment

    def line(ids: context.Ids, when: float, answered: Answered) -> msgspec.Struct:
        of_every_line = timestamp(when), "info", log.name, _message(answered), *constant, *ids[:3]
        return _whole(type(answered))(*of_every_line, *astuple(answered))

    def write(told: Sequence[Told]) -> None:
        if log.isEnabledFor(logging.INFO):
            stdout.write(encode_lines([line(*each) for each in told]))

    return write


@cache
def _whole(kind: type[Answered]) -> Callable[..., msgspec.Struct]:
    # The class of a whole line: one object is encoded in half the time of two, or of a text that is put together.
    members = [(each.name, Any) if each.required else (each.name, Any, each.default) for each in fields(kind)]
    return defstruct("Line", [*Event.__struct_fields__, *members], omit_defaults=True, gc=False)


def through_logging(told: Sequence[Told]) -> None:
    """Tell of each request as of any other event, with the same members."""
    for ids, _, answered in told:
        token = context.current.set(ids)
        log.info(_message(answered), extra=msgspec.to_builtins(answered))
        context.current.reset(token)


def nowhere(told: Sequence[Told]) -> None:
    """Tell nobody."""


def _message(answered: Answered) -> str:
    return f"{answered.method} {answered.path} {answered.status}"
