"""How the adoption of each release grew: a stacked chart as SVG, and as a table for those who cannot see it."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from packaging.version import InvalidVersion, Version

Seen = Sequence[tuple[str, str]]
"""The versions that one service was at, each with the moment, as ISO 8601, since when."""

WIDTH, HEIGHT = 640, 180
POINTS = 60
"""How finely time is divided, at most."""
BANDS = 8
"""As many as can be told apart by colour; what is older than the newest seven releases is one band."""


@dataclass(frozen=True, slots=True)
class Band:
    """One release in the chart, or all older ones."""

    version: str
    path: str
    """The `d` of an SVG path, in a box of WIDTH by HEIGHT."""
    now: int
    """How many services are at it now."""
    age: int
    """0 for the newest release."""


@dataclass(frozen=True, slots=True)
class Chart:
    """The chart, and a table of the same: a row a moment, a column a release."""

    bands: list[Band]
    since: datetime
    until: datetime
    most: int
    rows: list[tuple[datetime, list[int]]]
    width: int = WIDTH
    height: int = HEIGHT


def chart(histories: Iterable[Seen], now: datetime) -> Chart | None:
    """The chart of what services were at, until `now`; None if nothing was seen before."""
    seen = [[(_moment(at), version) for at, version in history] for history in histories]
    if not seen:
        return None
    since = min(history[0][0] for history in seen)
    moments = _moments(since, max(since, now))
    names = _bands({version for history in seen for _, version in history})
    bands = list(dict.fromkeys(names.values()))
    counted = [Counter[str]() for _ in moments]
    for history in seen:
        for counts, version in zip(counted, _at(history, moments), strict=True):
            if version is not None:
                counts[names[version]] += 1
    table = [[counts[band] for band in bands] for counts in counted]
    most = max(map(sum, table))
    drawn = [
        Band(band, _path(table, index, most), table[-1][index], len(bands) - 1 - index)
        for index, band in enumerate(bands)
    ]
    few = sorted({*range(0, len(moments), max(1, len(moments) // 6)), len(moments) - 1})
    return Chart(drawn, since, moments[-1], most, [(moments[index], table[index]) for index in few])


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _moments(since: datetime, until: datetime) -> list[datetime]:
    span = max(until - since, timedelta(seconds=1))
    return [since + span * step / POINTS for step in range(POINTS + 1)]


def _bands(versions: Iterable[str]) -> dict[str, str]:
    """Each version with the name of its band, the oldest first."""
    ordered = sorted(versions, key=_order)
    older = ordered[: 1 - BANDS] if len(ordered) > BANDS else []
    return {version: "older" if version in older else version for version in ordered}


def _at(history: Sequence[tuple[datetime, str]], moments: Iterable[datetime]) -> list[str | None]:
    """What a service was at, at each moment."""
    times = [at for at, _ in history]
    places = [bisect_right(times, moment) for moment in moments]
    return [history[place - 1][1] if place else None for place in places]


def _order(version: str) -> tuple[bool, Version, str]:
    try:
        return True, Version(version), version
    except InvalidVersion:
        return False, Version("0"), version


def _path(table: Sequence[Sequence[int]], index: int, most: int) -> str:
    """The area between all older releases and all up to this one."""
    lower = [_point(step, sum(row[:index]), len(table), most) for step, row in enumerate(table)]
    upper = [_point(step, sum(row[: index + 1]), len(table), most) for step, row in enumerate(table)]
    return "M" + "L".join([*upper, *reversed(lower)]) + "Z"


def _point(step: int, count: int, steps: int, most: int) -> str:
    x = WIDTH * step / (steps - 1)
    y = HEIGHT - HEIGHT * count / most
    return f"{x:.1f} {y:.1f}"
