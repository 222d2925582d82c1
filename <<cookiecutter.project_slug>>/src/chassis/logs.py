"""Logging: the standard library's, one event a line, to stdout and nowhere else."""

from __future__ import annotations

import json
import logging
import logging.config
import sys
import time
from contextvars import ContextVar
from typing import Any, ClassVar

import msgspec

from .settings import Settings

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# What every LogRecord has; the rest came from `extra=`.
STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message", "taskName"}


def configure(settings: Settings) -> None:
    """Send everything that is logged in this process to stdout, as `settings` say."""
    logging.config.dictConfig(dict_config(settings))
    logging.captureWarnings(True)


def dict_config(settings: Settings) -> dict[str, Any]:
    """The configuration as `logging.config.dictConfig` takes it."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {"()": JsonFormatter, "service": settings.name, "environment": settings.environment},
            "text": {"()": TextFormatter},
        },
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "json" if is_json(settings) else "text",
            }
        },
        "root": {"handlers": ["stdout"], "level": settings.log_level.upper()},
    }


def is_json(settings: Settings) -> bool:
    """Whether lines are JSON: as settings say, and by default wherever no person is looking."""
    return not sys.stdout.isatty() if settings.log_format == "auto" else settings.log_format == "json"


class JsonFormatter(logging.Formatter):
    """A record as one JSON object on one line, whatever it contains."""

    def __init__(self, *, service: str, environment: str) -> None:
        super().__init__()
        self.constant = {"service": service, "environment": environment}

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "timestamp": timestamp(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": message(record),
            **self.constant,
        }
        if bound := request_id.get():
            event["request_id"] = bound
        event.update(extra(record))
        if record.exc_info and record.exc_info[0]:
            event["exception"] = {
                "type": record.exc_info[0].__name__,
                "message": str(record.exc_info[1]),
                "traceback": self.formatException(record.exc_info),
            }
        return encode(event)


class TextFormatter(logging.Formatter):
    """A record as a person reads it."""

    COLOURS: ClassVar = {"DEBUG": 2, "INFO": 32, "WARNING": 33, "ERROR": 31, "CRITICAL": 35}

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = f"{record.levelname:<8}"
        if sys.stdout.isatty():
            level = f"\x1b[{self.COLOURS.get(record.levelname, 0)}m{level}\x1b[0m"
        extras = "".join(f" {key}={visible(str(value))}" for key, value in extra(record).items())
        line = f"{clock} {level} {record.name}: {visible(message(record))}{extras}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def message(record: logging.LogRecord) -> str:
    """The record's message; for one whose arguments do not fit, what there is of it."""
    try:
        return record.getMessage()
    except Exception:
        return f"{record.msg!r} % {record.args!r}"


def extra(record: logging.LogRecord) -> dict[str, Any]:
    """What was handed to the logging call as `extra=`."""
    return {key: value for key, value in vars(record).items() if key not in STANDARD_ATTRIBUTES}


def visible(text: str) -> str:
    """`text` with its control characters escaped, so that it can neither end a line nor paint one."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def timestamp(seconds: float) -> str:
    """`seconds` since the epoch as RFC 3339 in UTC, with milliseconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1000):03d}Z"


def encode(event: dict[str, Any]) -> str:
    """`event` as one line of JSON. What JSON has no form for becomes its `str`."""
    try:
        return msgspec.json.encode(event, enc_hook=str).decode()
    except (TypeError, ValueError, OverflowError, RecursionError):  # a lone surrogate, a huge int, a cycle
        return json.dumps({key: repr(value) if key != "message" else value for key, value in event.items()})
