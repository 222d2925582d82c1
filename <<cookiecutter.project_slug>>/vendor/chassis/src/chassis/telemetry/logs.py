"""Logging: the standard library's, one event a line, to stdout and nowhere else."""

import configparser
import json
import logging
import logging.config
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from ..failures import StartError
from ..settings import Settings
from ..settings.levels import split_levels
from .lines import JsonFormatter, TextFormatter
from .redaction import Redactor
from .stdout import Stdout


class LogConfigError(StartError):
    """The file that configures logging cannot be used. The message is one sentence."""


class LineHandler(logging.Handler):
    """Hands each record, formatted, to stdout as one line."""

    def __init__(self, stdout: Stdout | None = None) -> None:
        super().__init__()
        self.stdout = stdout or Stdout()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except Exception as error:  # a team's formatter or `__str__`: the event is told, though not as it was meant
            line = json.dumps({"level": "error", "logger": record.name, "message": f"unloggable: {error!r}"})
        self.stdout.write(line.encode("utf-8", "backslashreplace") + b"\n")


def configure(settings: Settings, *, version: str, secrets: Iterable[str] = ()) -> None:
    """Send everything that is logged in this process to stdout, as `settings` say.

    :param version: of the service; on every line.
    :param secrets: values that must not appear in any line.

    Raises LogConfigError.
    """
    logging.config.dictConfig(dict_config(settings, version=version, secrets=secrets))
    if settings.log_config:
        apply_file(settings.log_config)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda thrown: _log_uncaught(thrown.exc_type, thrown.exc_value, thrown.exc_traceback)
    sys.unraisablehook = lambda thrown: _log_uncaught(thrown.exc_type, thrown.exc_value, thrown.exc_traceback)


def dict_config(settings: Settings, *, version: str, secrets: Iterable[str] = ()) -> dict[str, Any]:
    """The configuration as `logging.config.dictConfig` takes it."""
    root, loggers = split_levels(settings.log_level)
    constant = settings.name, version, settings.environment
    redactor = Redactor(secrets)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {"()": JsonFormatter, "constant": constant, "redactor": redactor},
            "text": {"()": TextFormatter, "redactor": redactor},
        },
        "handlers": {"stdout": {"()": LineHandler, "formatter": "json" if is_json(settings) else "text"}},
        "root": {"handlers": ["stdout"], "level": root.upper()},
        "loggers": {name: {"level": level.upper()} for name, level in loggers.items()},
    }


def is_json(settings: Settings) -> bool:
    """Whether lines are JSON: as settings say, and by default wherever no person is looking."""
    return not sys.stdout.isatty() if settings.log_format == "auto" else settings.log_format == "json"


def apply_file(path: Path) -> None:
    """Apply a team's own logging configuration: .toml or .json for `dictConfig`, .ini or .conf for `fileConfig`.

    It comes after the chassis' own, so it need not repeat it: `incremental = true` changes levels alone.
    Raises LogConfigError.
    """
    try:
        if path.suffix in {".ini", ".conf"}:
            logging.config.fileConfig(str(path), disable_existing_loggers=False, encoding="utf-8")
        else:
            import tomllib  # which nobody else needs

            text = path.read_text(encoding="utf-8")
            logging.config.dictConfig(json.loads(text) if path.suffix == ".json" else tomllib.loads(text))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, configparser.Error) as error:
        raise LogConfigError(f"The logging configuration {path} cannot be used: {error}.") from error


def _log_uncaught(kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("uncaught").critical("uncaught %s", kind.__name__, exc_info=(kind, error or kind(), traceback))
