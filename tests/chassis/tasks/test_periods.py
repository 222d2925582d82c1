import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from chassis_tasks.definition import Policy
from chassis_tasks.periods import cron_fault, tick

NOW = "2026-11-25 15:41"  # a Wednesday


def last(expression: str, now: str = NOW) -> str:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp()
    found = tick(Policy(cron=expression), moment + 59.9)
    return datetime.fromtimestamp(found, UTC).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("* * * * *", "2026-11-25 15:41"),
        ("*/5 * * * *", "2026-11-25 15:40"),
        ("7/10 * * * *", "2026-11-25 15:37"),
        ("0 * * * *", "2026-11-25 15:00"),
        ("0 3 * * *", "2026-11-25 03:00"),
        ("0 16 * * *", "2026-11-24 16:00"),
        ("42 15 * * *", "2026-11-24 15:42"),
        ("10-20,50 4,22 * * *", "2026-11-25 04:50"),
        ("0 0 1 * *", "2026-11-01 00:00"),
        ("0 0 31 * *", "2026-10-31 00:00"),
        ("0 0 * * sun", "2026-11-22 00:00"),
        ("0 0 * * 0", "2026-11-22 00:00"),
        ("0 0 * * 7", "2026-11-22 00:00"),
        ("0 0 * * mon-fri", "2026-11-25 00:00"),
        ("0 0 * * 5-7", "2026-11-22 00:00"),
        ("0 0 * jan *", "2026-01-31 00:00"),
        ("0 0 1 1 *", "2026-01-01 00:00"),
        ("0 0 13 * fri", "2026-11-20 00:00"),  # one of the two
        ("0 0 */2 * fri", "2026-11-13 00:00"),  # both, as there is a star
        ("0 0 L * *", "2026-10-31 00:00"),
        ("0 0 * * fri#2", "2026-11-13 00:00"),
    ],
)
def test_the_last_time(expression: str, expected: str) -> None:
    assert last(expression) == expected


def test_the_very_moment_counts() -> None:
    moment = datetime(2026, 11, 25, 15, 40, tzinfo=UTC).timestamp()
    assert [tick(Policy(cron="*/5 * * * *"), moment + after) for after in (0, 0.001, -0.001)] == [
        *(moment, moment, moment - 300)
    ]


def test_a_leap_day_is_remembered_for_four_years() -> None:
    assert last("0 0 29 2 *", "2028-12-31 00:00") == "2028-02-29 00:00"
    assert last("0 0 29 2 *") == "2024-02-29 00:00"


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"], ids=["spring", "autumn"])
@pytest.mark.parametrize(("expression", "times"), [("30 2 * * *", 1), ("30 * * * *", 24), ("*/30 * * * *", 48)])
def test_a_day_has_24_hours_whatever_the_clock_on_the_wall_does(day: str, expression: str, times: int) -> None:
    midnight = datetime.fromisoformat(day).replace(tzinfo=UTC)
    minutes = [(midnight + timedelta(minutes=minute)).timestamp() for minute in range(24 * 60)]
    ticks = {tick(Policy(cron=expression), minute) for minute in minutes}
    assert len({each for each in ticks if each >= midnight.timestamp()}) == times


@pytest.mark.parametrize(
    "expression",
    [
        *("", "* * * *", "* * * * * *", "@daily", "a * * * *", "60 * * * *", "-1 * * * *", "5-1 * * * *"),
        *("*/0 * * * *", "*/x * * * *", "1,,2 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *"),
        *("* * * * 8", "* * * foo *", "* * * * mon-", "0 0 31 2 *", "\u0661 * * * *", "1- * * * *", "** * * * *"),
    ],
)
def test_what_is_none(expression: str) -> None:
    assert cron_fault(expression)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * *", "it has 4 fields, not five"),
        ("0 * * * * *", "it has 6 fields, not five"),
        ("60 * * * *", "'60' is no minute: 0 to 59"),
        ("* 1,24 * * *", "'1,24' is no hour: 0 to 23"),
        ("* * 0 * *", "'0' is no day of month: 1 to 31"),
        ("* * * foo *", "'foo' is no month: 1 to 12, or jan to dec"),
        ("* * * * mon-", "'mon-' is no day of week: 0 to 7, or sun to sat"),
        ("0 0 30 feb *", "there is no such day"),
        ("0 0 29 2 *", ""),
        ("0 0 31 2 mon", ""),  # a Monday in February
    ],
)
def test_it_says_which_field_is_wrong(expression: str, words: str) -> None:
    assert cron_fault(expression) == words
