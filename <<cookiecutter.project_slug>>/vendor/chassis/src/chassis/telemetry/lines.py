"""Lines: a log record as one line of JSON, or as a person reads it."""

import json
import logging
import sys
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

import msgspec

from . import context
from .redaction import Redactor, text_of

# What every LogRecord has; the rest came from `extra=`.
STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "color_message",  # uvicorn's, for terminals
    "taskName",
}

ENCODER = msgspec.json.Encoder(enc_hook=str)


class Event(msgspec.Struct, omit_defaults=True, gc=False):
    """What every line has, in this order; the ids where a request or a task is worked on."""

    timestamp: str
    level: str
    logger: str
    message: str
    service: str
    version: str
    environment: str
    request_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None


class JsonFormatter(logging.Formatter):
    """A record as one JSON object on one line, whatever it contains.

    :param constant: what is the same on every line: service, version, environment.
    """

    def __init__(self, *, constant: tuple[str, str, str], redactor: Redactor) -> None:
        super().__init__()
        self.constant = constant
        self.redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        ids = context.current.get() or ()
        told, level = self.redactor.text(message(record)), record.levelname.lower()
        head = Event(timestamp(record.created), level, record.name, told, *self.constant, *ids[:3])
        event: dict[str, Any] = msgspec.to_builtins(head)
        for name, value in extra(record).items():
            # A member that the line has already is not overwritten, but neither is it lost.
            event[f"extra_{name}" if name in event else name] = self.redactor.field(name, value)
        if record.exc_info and record.exc_info[0]:
            event["exception"] = self._exception(record.exc_info)
        if record.stack_info:
            event["stack"] = record.stack_info
        return encode(event).decode()

    def _exception(self, exc_info: Any) -> dict[str, str]:
        kind, error, _ = exc_info
        return {
            "type": f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins."),
            "message": self.redactor.text(text_of(error)),
            "traceback": self.redactor.text(self.formatException(exc_info)),
        }


class TextFormatter(logging.Formatter):
    """A record as a person at a terminal reads it; only a traceback takes more than one line."""

    COLOURS: ClassVar = {"DEBUG": 2, "INFO": 32, "WARNING": 33, "ERROR": 31, "CRITICAL": 35}

    def __init__(self, *, redactor: Redactor) -> None:
        super().__init__()
        self.redactor = redactor
        self.colourful = sys.stdout.isatty()

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = f"{record.levelname:<8}"
        if self.colourful:
            level = f"\x1b[{self.COLOURS.get(record.levelname, 0)}m{level}\x1b[0m"
        extras = "".join(
            f" {name}={visible(str(self.redactor.field(name, value)))}" for name, value in extra(record).items()
        )
        line = f"{clock} {level} {record.name}: {visible(self.redactor.text(message(record)))}{extras}"
        if record.exc_info and record.exc_info[0]:
            trace = self.redactor.text(self.formatException(record.exc_info))
            line = "\n".join([line, *map(visible, trace.splitlines())])
        return line


def message(record: logging.LogRecord) -> str:
    """The record's message; for one whose arguments do not fit, what there is of it."""
    try:
        return record.getMessage()
    except Exception:
        arguments = record.args.items() if isinstance(record.args, dict) else record.args or ()
        return f"{text_of(record.msg)} % ({', '.join(map(text_of, arguments))})"


def extra(record: logging.LogRecord) -> dict[str, Any]:
    """What was handed to the logging call as `extra=`."""
    return {name: value for name, value in vars(record).items() if name not in STANDARD_ATTRIBUTES}


def visible(text: str) -> str:
    """`text` with its control characters escaped, so that it can neither end a line nor paint one."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def timestamp(seconds: float) -> str:
    """`seconds` since the epoch as RFC 3339 in UTC, with milliseconds."""
    return _timestamp(int(seconds * 1000))


# A busy millisecond has several lines, and a second many: formatting it is the dearest part of a line.
@lru_cache(maxsize=16)
def _timestamp(milliseconds: int) -> str:
    second, rest = divmod(milliseconds, 1000)
    return f"{_second(second)}{rest:03d}Z"


@lru_cache(maxsize=2)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))


def encode(event: dict[str, Any] | msgspec.Struct) -> bytes:
    """`event` as one line of JSON. What JSON has no form for becomes its `str`; this never raises."""
    try:
        return ENCODER.encode(event)
    except Exception:  # a lone surrogate, a huge integer, a cycle, an object whose str raises
        members = event if isinstance(event, dict) else msgspec.to_builtins(event)
        return json.dumps({str(name): _plain(value) for name, value in members.items()}).encode()


def encode_lines(events: Sequence[msgspec.Struct]) -> bytes:
    """Each of `events` as `encode` has it, with its line feed."""
    try:
        return ENCODER.encode_lines(events)
    except Exception:  # in one of them; the others are as they would be
        return b"".join([encode(event) + b"\n" for event in events])


def _plain(value: Any) -> str | int | float | None:
    is_number = isinstance(value, (int, float)) and abs(value) < 2**63  # which no NaN is
    return value if is_number or isinstance(value, (str, type(None))) else text_of(value)
