"""Cron expressions: when they hold, in UTC.

Our own, since pycron, which comes with taskiq, takes any text: one that is misspelt never holds, and says nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day of week", 0, 7, WEEKDAYS),
)
FARTHEST_DAYS = 400


@dataclass(frozen=True)
class Cron:
    """What `parsed` made of an expression."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    needs_both: bool
    """Whether day of month and day of week must both hold: as ever, one of them does if neither is `*`."""

    def holds_on(self, day: datetime) -> bool:
        of_month, of_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (of_month and of_week if self.needs_both else of_month or of_week)

    def last(self, now: float) -> int | None:
        """The last minute until `now` at which it holds, in seconds since the epoch; None if that is a year ago."""
        moment = datetime.fromtimestamp(now, UTC)
        latest = (moment.hour, moment.minute)
        for days in range(FARTHEST_DAYS):
            day = moment - timedelta(days=days)
            if self.holds_on(day) and (found := self._last_on(latest)):
                return int(day.replace(hour=found[0], minute=found[1], second=0, microsecond=0).timestamp())
            latest = (23, 59)
        return None

    def _last_on(self, latest: tuple[int, int]) -> tuple[int, int] | None:
        for hour in sorted(self.hours, reverse=True):
            minutes = [minute for minute in self.minutes if (hour, minute) <= latest]
            if minutes:
                return hour, max(minutes)
        return None


def parsed(expression: str) -> Cron:
    """`expression`, five fields, understood. Raises ValueError, which says what is wrong."""
    fields = expression.lower().split()
    if len(fields) != len(FIELDS):
        raise ValueError(f"it has {len(fields)} fields, not five")
    minutes, hours, days, months, weekdays = (_field(text, *field) for text, field in zip(fields, FIELDS, strict=True))
    cron = Cron(
        minutes, hours, days, months, frozenset(day % 7 for day in weekdays), fields[2][0] == "*" or fields[4][0] == "*"
    )
    if cron.last(datetime(2028, 12, 31, tzinfo=UTC).timestamp()) is None:  # a leap year, in which all days are
        raise ValueError("there is no such day")
    return cron


def _field(text: str, name: str, least: int, most: int, names: tuple[str, ...]) -> frozenset[int]:
    return frozenset(number for part in text.split(",") for number in _part(part, name, least, most, names))


def _part(text: str, name: str, least: int, most: int, names: tuple[str, ...]) -> range:
    span, slash, step = text.partition("/")
    first, dash, last = span.partition("-")
    try:
        if span == "*":
            start, end = least, min(most, 6) if names is WEEKDAYS else most
        else:
            start = _number(first, least, names)
            end = _number(last, least, names) if dash else most if slash else start
        every = int(step) if slash else 1
    except ValueError:
        raise ValueError(f"{text!r} is no {name}") from None
    if not least <= start <= end <= most or every < 1:
        raise ValueError(f"{text!r} is no {name}: {least} to {most}")
    return range(start, end + 1, every)


def _number(text: str, least: int, names: tuple[str, ...]) -> int:
    if text in names:
        return names.index(text) + least
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)
