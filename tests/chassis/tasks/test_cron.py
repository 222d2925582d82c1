from datetime import UTC, datetime

import pytest

from chassis_tasks.cron import parsed

NOW = "2026-11-25 15:41"  # a Wednesday


def last(expression: str, now: str = NOW) -> str:
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC).timestamp()
    found = parsed(expression).last(moment + 59.9)
    assert found is not None
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
    ],
)
def test_the_last_time(expression: str, expected: str) -> None:
    assert last(expression) == expected


def test_a_leap_day_is_remembered_for_a_year() -> None:
    assert last("0 0 29 2 *", "2028-12-31 00:00") == "2028-02-29 00:00"
    assert parsed("0 0 29 2 *").last(datetime(2026, 11, 25, tzinfo=UTC).timestamp()) is None


@pytest.mark.parametrize(
    "expression",
    [
        *("", "* * * *", "* * * * * *", "@daily", "a * * * *", "60 * * * *", "-1 * * * *", "5-1 * * * *"),
        *("*/0 * * * *", "*/x * * * *", "1,,2 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *"),
        *("* * * * 8", "* * * foo *", "* * * * mon-", "0 0 31 2 *", "\u0661 * * * *", "1- * * * *", "** * * * *"),
    ],
)
def test_what_is_none(expression: str) -> None:
    with pytest.raises(ValueError, match=r"fields|is no|no such day"):
        parsed(expression)
