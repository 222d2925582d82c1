import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ValidationError

from chassis_tasks import Tasks


class Colour(Enum):
    RED = "red"


class Page(BaseModel):
    url: str
    at: datetime


ARGUMENTS: list[tuple[Any, Any]] = [
    (str, "ä"),
    (int, 2**60),
    (bool, True),
    (bytes, b"\xc3\xa4"),
    (float, math.inf),
    (float | None, None),
    (datetime, datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)),
    (date, date(2026, 1, 2)),
    (timedelta, timedelta(seconds=1.5)),
    (Decimal, Decimal("1.10")),
    (UUID, UUID(int=1)),
    (Path, Path("a/b")),
    (Colour, Colour.RED),
    (list[Page], [Page(url="http://a", at=datetime(2026, 1, 2, tzinfo=UTC))]),
    (dict[str, set[int]], {"a": {1, 2}}),
    (tuple[int, str], (1, "a")),
]


@pytest.mark.parametrize(("kind", "value"), ARGUMENTS, ids=[str(kind) for kind, _ in ARGUMENTS])
def test_arguments_arrive_as_they_were(part: Tasks, kind: Any, value: Any) -> None:
    async def work(it: kind) -> None: ...

    task = part.task(work)
    assert task.unpacked(task.packed(value)) == {"it": value}


async def work(a: int, /) -> None: ...


async def collects(*many: int) -> None: ...


async def takes_all(**many: int) -> None: ...


@pytest.mark.parametrize("function", [work, collects, takes_all])
def test_arguments_travel_by_name(part: Tasks, function: Any) -> None:
    with pytest.raises(TypeError, match="travel by name"):
        part.task(function)


def test_only_what_is_given_travels(part: Tasks) -> None:
    @part.task
    async def work(a: int, _b: str = "b", *, model_config: int = 3) -> None: ...

    assert work.packed(1) == {"a": 1}
    assert work.packed(1, "x", model_config=4) == {"a": 1, "_b": "x", "model_config": 4}
    assert work.unpacked({"a": 1, "model_config": 4}) == {"a": 1, "model_config": 4}


@pytest.mark.parametrize("arguments", [{}, {"a": "x"}, {"a": 1, "b": 2}], ids=str)
def test_arguments_that_do_not_fit(part: Tasks, arguments: dict[str, Any]) -> None:
    @part.task
    async def work(a: int) -> None: ...

    with pytest.raises(ValidationError):
        work.unpacked(arguments)
    with pytest.raises((ValidationError, TypeError)):
        work.packed(**arguments)


def test_a_task_is_asynchronous(part: Tasks) -> None:
    def work() -> None: ...

    with pytest.raises(TypeError, match=r"asyncio\.to_thread"):
        part.task(work)  # type: ignore[arg-type]


def test_a_name_is_taken_once(part: Tasks) -> None:
    async def work() -> None: ...

    part.task(work)
    with pytest.raises(ValueError, match="name="):
        part.task(work)
    assert part.task(name="other")(work).name == "other"
    assert [*part.known] == ["work", "other"]


async def needs(a: int) -> None: ...


async def needs_nothing(a: int = 1) -> None: ...


@pytest.mark.parametrize(
    ("function", "policy", "words"),
    [
        (needs, {"every": 1}, "a default"),
        (needs_nothing, {"every": 0.5}, "shortest period"),
        (needs_nothing, {"every": 5, "cron": "* * * * *"}, "Choose one"),
        (needs_nothing, {"cron": "* * * *"}, "Write minute, hour"),
        (needs_nothing, {"cron": "nonsense * * * *"}, "Write minute, hour"),
        (needs_nothing, {"cron": "* * * * nonsense"}, "Write minute, hour"),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_a_period_that_cannot_be(part: Tasks, function: Callable[..., Any], policy: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        part.task(**policy)(function)


@pytest.mark.anyio
async def test_it_can_be_called_here_and_now(part: Tasks) -> None:
    @part.task(retries=3)
    async def double(number: int) -> int:
        """Twice as much."""
        return 2 * number

    assert await double(2) == 4
    assert double.__doc__ == "Twice as much."
