import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chassis import Settings
from chassis.telemetry import logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Leave logging and the hooks as they were: other tests' output goes through them."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)


def configured(capsys: pytest.CaptureFixture[str], **settings: Any) -> None:
    logs.configure(Settings(**{"name": "shop", "log_format": "json", **settings}), version="1.0", secrets=["topsecret"])


def written(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    captured = capsys.readouterr()
    assert captured.err == ""
    return [json.loads(line) for line in captured.out.splitlines()]


def test_everything_goes_to_stdout_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    configured(capsys)
    logging.getLogger("shop").info("pays with %s", "topsecret")
    logging.getLogger("some.library").debug("not asked for")
    assert [(event["logger"], event["message"], event["version"]) for event in written(capsys)] == [
        ("shop", "pays with ***", "1.0")
    ]


def test_each_logger_has_a_level_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    configured(capsys, log_level="warning, shop.orders=debug ,noisy=error")
    for name in ("shop", "shop.orders", "noisy"):
        logging.getLogger(name).debug("debug")
        logging.getLogger(name).warning("warning")
    assert [(event["logger"], event["message"]) for event in written(capsys)] == [
        ("shop", "warning"),
        ("shop.orders", "debug"),
        ("shop.orders", "warning"),
    ]


def test_warnings_uncaught_exceptions_and_threads_are_lines_too(capsys: pytest.CaptureFixture[str]) -> None:
    configured(capsys)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    try:
        raise ValueError("main")
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start()
    thread.join()
    warned, main, in_thread = written(capsys)
    assert (warned["logger"], "old" in warned["message"]) == ("py.warnings", True)
    assert (main["level"], main["exception"]["type"]) == ("critical", "ValueError")
    assert in_thread["exception"]["type"] == "ZeroDivisionError"


def test_ctrl_c_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    configured(capsys)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert written(capsys) == []


def test_a_formatter_that_raises_costs_the_line_its_form_only(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(capsys)

    def broken(record: logging.LogRecord) -> str:
        raise RuntimeError("broken formatter")

    monkeypatch.setattr(logging.getLogger().handlers[0], "format", broken)
    logging.getLogger("shop").info("hello")
    assert written(capsys)[0]["message"] == "unloggable: RuntimeError('broken formatter')"


@pytest.mark.parametrize(
    ("log_format", "on_terminal", "is_json"),
    [
        ("auto", True, False),
        ("auto", False, True),
        ("json", True, True),
        ("text", False, False),
    ],
)
def test_text_is_for_people(log_format: Any, on_terminal: bool, is_json: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: on_terminal)
    assert logs.is_json(Settings(name="shop", log_format=log_format)) is is_json


TOML = 'version = 1\nincremental = true\n[loggers.shop]\nlevel = "DEBUG"\n'
JSON = '{"version": 1, "incremental": true, "loggers": {"shop": {"level": "DEBUG"}}}'
INI = """
[loggers]
keys = root,shop
[handlers]
keys = out
[formatters]
keys = plain
[logger_root]
handlers = out
level = INFO
[logger_shop]
qualname = shop
handlers =
level = DEBUG
[handler_out]
class = StreamHandler
args = (sys.stdout,)
formatter = plain
[formatter_plain]
format = {"message": "%(message)s", "logger": "%(name)s"}
"""


@pytest.mark.parametrize(("name", "text"), [("l.toml", TOML), ("l.json", JSON), ("l.ini", INI), ("l.conf", INI)])
def test_a_team_brings_a_configuration_of_its_own(
    name: str, text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    configured(capsys, log_config=tmp_path / name)
    logging.getLogger("shop").debug("details")
    assert [event["message"] for event in written(capsys)] == ["details"]
    logging.getLogger("shop").setLevel(logging.NOTSET)


@pytest.mark.parametrize(("name", "text"), [("l.toml", "="), ("l.json", "[]"), ("l.ini", "x"), ("gone.toml", None)])
def test_a_configuration_that_cannot_be_used_is_refused(name: str, text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(logs.LogConfigError, match=name):
        logs.apply_file(tmp_path / name)


# What teams may have set levels for: `LOG_LEVEL=info,chassis.access=warning`.
LOGGERS = "access checks client errors lifecycle metrics protocol sampling server service tracing workers"


def test_loggers_keep_their_names_wherever_a_module_lies() -> None:
    source = Path(logs.__file__).parents[1]
    texts = [file.read_text(encoding="utf-8") for file in source.rglob("*.py")]
    named = {name for text in texts for name in re.findall(r"getLogger\((.*?)\)", text)} - {
        '"uncaught"',
        '"uvicorn.error"',
    }
    assert named - {""} == {f'"chassis.{name}"' for name in LOGGERS.split()}
