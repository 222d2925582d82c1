import json
import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from asgi import scope
from chassis import Settings
from chassis.telemetry import access, context, logs
from chassis.telemetry.access import Answered
from chassis.telemetry.lines import Event
from service_process import TEMPLATE

MEMBERS = [name for name in Answered.__struct_fields__ if name != "subject"]
CONSTANT = {"service": "under-test", "version": "1.2.3", "environment": "test"}


def settings(mode: Any, level: str = "info") -> Settings:
    return Settings(name="under-test", environment="test", log_level=level, log_format="json", access_log=mode)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers = [*root.handlers]
    levels = {logger: logger.level for logger in (root, access.log, logging.getLogger("chassis"))}
    yield
    root.handlers[:] = handlers
    for logger, level in levels.items():
        logger.setLevel(level)
    logging.captureWarnings(False)


def told(
    capfd: pytest.CaptureFixture[str],
    mode: str,
    level: str = "info",
    subject: str | None = None,
    kind: Any = Answered,
    **of_scope: Any,
) -> list[dict[str, Any]]:
    """What one request makes the service write: each line must be an object."""
    logging.config.dictConfig(logs.dict_config(settings(mode, level), version="1.2.3"))
    ids = context.new("mine", None)
    asked = scope(**of_scope)
    client = asked["client"][0] if asked["client"] else None
    write = access.writer(settings(mode, level), version="1.2.3")
    answered = kind(asked["method"], asked["path"], "/items/{item}", 200, 12.346, 42, client, subject)
    write([(ids, 1_700_000_000.5, answered)])
    return [json.loads(line) for line in capfd.readouterr().out.split("\n") if line]


@pytest.mark.parametrize("mode", ["direct", "logging"])
def test_a_line_has_the_same_members_in_both_ways(capfd: pytest.CaptureFixture[str], mode: str) -> None:
    (line,) = told(capfd, mode, path="/items/1")
    assert line.keys() == {*Event.__struct_fields__, *MEMBERS}
    assert line["timestamp"] == "2023-11-14T22:13:20.500Z" or mode == "logging"
    assert (line["level"], line["logger"], line["message"]) == ("info", "chassis.access", "GET /items/1 200")
    assert {name: line[name] for name in CONSTANT} == CONSTANT
    assert (line["request_id"], line["route"], line["status"]) == ("mine", "/items/{item}", 200)
    assert (line["duration_ms"], line["response_bytes"], line["client"]) == (12.346, 42, "192.0.2.1")


@pytest.mark.parametrize("mode", ["direct", "logging"])
@pytest.mark.parametrize("subject", ["ada", 'x","level":"error', "\n", "\ud800"])
def test_who_called_is_told_once_it_is_known(capfd: pytest.CaptureFixture[str], mode: str, subject: str) -> None:
    (line,) = told(capfd, mode, subject=subject, path="/items/1")
    assert line["subject"] == subject
    assert line["level"] == "info"


@pytest.mark.parametrize("mode", ["direct", "logging"])
@pytest.mark.parametrize("level", ["warning", "info,chassis.access=warning", "info,chassis=error"])
def test_a_level_silences_it(capfd: pytest.CaptureFixture[str], mode: str, level: str) -> None:
    assert told(capfd, mode, level) == []


def test_it_can_be_switched_off(capfd: pytest.CaptureFixture[str]) -> None:
    assert told(capfd, "off") == []


@pytest.mark.parametrize("mode", ["direct", "logging"])
@pytest.mark.parametrize(
    "path", ["/\x00\r\n\x1b[31m", '/"\\', "/é/🎉", "/\u2028\u2029\x85", "/\ud800", "/" + "a" * 100_000, "", "/%s%d"]
)
def test_any_path_is_one_line(capfd: pytest.CaptureFixture[str], mode: str, path: str) -> None:
    (line,) = told(capfd, mode, path=path)
    assert (line["request_id"], line["status"], line["duration_ms"]) == ("mine", 200, 12.346)
    if path.isprintable():
        assert line["path"] == path


@pytest.mark.parametrize("mode", ["direct", "logging"])
def test_a_client_without_an_address(capfd: pytest.CaptureFixture[str], mode: str) -> None:
    (line,) = told(capfd, mode, client=None)
    assert line["client"] is None


class More(Answered):
    """A line with a member more."""

    tenant: str = "nobody"


@pytest.mark.parametrize("mode", ["direct", "logging"])
def test_a_member_stands_in_one_place(capfd: pytest.CaptureFixture[str], mode: str) -> None:
    """What `Answered` has, each way of writing a line tells, and nothing else names it."""
    (line,) = told(capfd, mode, kind=partial(More, tenant="acme"))
    assert [*line][-1] == "tenant"
    assert line["tenant"] == "acme"


def test_what_is_released_is_there_and_documented() -> None:
    members = [*Event.__struct_fields__, *Answered.__struct_fields__]
    released = (
        "timestamp level logger message service version environment request_id trace_id span_id "
        "method path route status duration_ms response_bytes client"
    )
    assert {*released.split()} <= {*members}
    documented = (TEMPLATE.parent / "docs/chassis.md").read_text(encoding="utf-8").partition("## Logging")[2]
    assert [name for name in members if f"`{name}`" not in documented.partition("\n## ")[0]] == []
