import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from chassis.telemetry import context
from chassis.telemetry.lines import Event, JsonFormatter, TextFormatter, encode, encode_lines, timestamp
from chassis.telemetry.redaction import Redactor

CONSTANT = {"service": "shop", "version": "1.2.3", "environment": "test"}


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def record(message: object, *args: object, error: BaseException | None = None, **extra: object) -> logging.LogRecord:
    exc_info = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("shop.orders", logging.WARNING, __file__, 1, message, args, exc_info)
    made.created = 1_700_000_000.123
    vars(made).update(extra)
    return made


def as_json(*args: Any, **kwargs: Any) -> dict[str, Any]:
    line = JsonFormatter(constant=("shop", "1.2.3", "test"), redactor=Redactor(["hunter22"])).format(
        record(*args, **kwargs)
    )
    assert "\n" not in line
    event: dict[str, Any] = json.loads(line)
    return event


def as_text(*args: Any, **kwargs: Any) -> str:
    return TextFormatter(redactor=Redactor(["hunter22"])).format(record(*args, **kwargs))


@pytest.fixture
def ids() -> Iterator[context.Ids]:
    token = context.current.set(context.new("req-1", None))
    bound = context.current.get()
    assert bound
    yield bound
    context.current.reset(token)


def test_a_line_tells_who_when_and_what() -> None:
    assert as_json("paid %d", 3, order=7) == {
        "timestamp": "2023-11-14T22:13:20.123Z",
        "level": "warning",
        "logger": "shop.orders",
        "message": "paid 3",
        **CONSTANT,
        "order": 7,
    }


def test_in_a_request_it_bears_the_request_s_ids(ids: context.Ids) -> None:
    event = as_json("x")
    assert (event["request_id"], event["trace_id"], event["span_id"]) == ("req-1", ids.trace_id, ids.span_id)


def test_an_exception_is_structured_and_redacted() -> None:
    try:
        raise ConnectionError("postgresql://app:topsecret@db is down, hunter22")
    except ConnectionError as error:
        exception = as_json("failed", error=error)["exception"]
    assert exception["type"] == "ConnectionError"
    assert exception["message"] == "postgresql://app:***@db is down, ***"
    assert "test_lines.py" in exception["traceback"]
    assert "topsecret" not in exception["traceback"]


def test_extra_members_cannot_pass_for_the_line_s_own() -> None:
    event = as_json("x", level_="fine", service="evil", timestamp="never")
    assert event["service"] == "shop"
    assert event["extra_service"] == "evil"
    assert event["extra_timestamp"] == "never"


@pytest.mark.parametrize(
    ("message", "args"),
    [
        ("%d items", ("many",)),
        ("%s %s", ("one",)),
        ("100 %", (1,)),
        ("%(missing)s", ({"other": 1},)),
        ("%s", (Unprintable(),)),
    ],
)
def test_a_broken_call_is_told_as_far_as_it_goes(message: str, args: tuple[object, ...]) -> None:
    assert message in as_json(message, *args)["message"]


ENDLESS: list[object] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    "value",
    [
        "\ud800",
        1 << 80,
        float("nan"),
        float("inf"),
        b"bytes",
        ENDLESS,
        {1: 2},
        {("a",): 1},
        object(),
        Unprintable(),
        "\x00\x1b[31m",
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_it_is_given_the_line_is_json(value: object) -> None:
    assert as_json("x", given=value)["message"] == "x"


@pytest.mark.parametrize(
    "text", ["two\nlines", "\r\n", "\x1b[2J", "\u2028", "\x00", '{"forged": true}\n{"level": "info"}']
)
def test_no_text_can_forge_a_line(text: str) -> None:
    assert as_json("%s", text, note=text)["message"] == text
    written = as_text("%s", text, note=text)
    assert len(written.splitlines()) == 1
    assert "\x1b" not in written


def test_text_shows_a_traceback_on_lines_of_its_own_without_control_characters() -> None:
    try:
        raise ValueError("bad \x1b[31m value hunter22")
    except ValueError as error:
        written = as_text("failed", error=error)
    assert written.splitlines()[-1] == "ValueError: bad \\x1b[31m value ***"


def test_colour_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in as_text("x")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert "\x1b[33mWARNING" in as_text("x")


def test_time_goes_on() -> None:
    assert [timestamp(seconds) for seconds in (0.9996, 1.5, 59.0009)] == [
        "1970-01-01T00:00:00.999Z",
        "1970-01-01T00:00:01.500Z",
        "1970-01-01T00:00:59.000Z",
    ]


def test_one_line_that_cannot_be_encoded_leaves_each_on_a_line_of_its_own() -> None:
    events = [Event("t", "info", "a", text, "s", "v", "e") for text in ("one", "\ud800", "three")]
    assert [json.loads(line)["message"] for line in encode_lines(events).splitlines()] == ["one", "\ud800", "three"]
    assert encode_lines(events).endswith(b"\n")


def test_encode_never_raises() -> None:
    assert json.loads(encode({"a": Unprintable(), "b": "\ud800"})) == {
        "a": "<Unprintable without a text>",
        "b": "\ud800",
    }
