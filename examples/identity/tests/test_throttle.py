import asyncio

import pytest
from sqlalchemy import func, select

from identity import throttle
from identity.database import attempts, database
from identity.throttle import Throttle

from .people import settings

pytestmark = pytest.mark.anyio


class Clock:
    now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(throttle, "time", clock)
    return clock


def throttling() -> Throttle:
    return Throttle(settings(login_attempts=3, login_seconds=60.0))


async def test_a_name_may_be_tried_so_often(ada: str, clock: Clock) -> None:
    ours = throttling()
    waits = [await ours.admit("ada", f"address {number}") for number in range(5)]
    assert waits[:3] == [0, 0, 0]
    assert waits[3] == waits[4] == pytest.approx(20)
    assert await ours.admit("eve", "address 0") == 0
    clock.now += 19
    assert await ours.admit("ada", "address") == pytest.approx(1)
    clock.now += 1
    assert await ours.admit("ada", "address") == 0
    assert await ours.admit("ada", "address") == pytest.approx(20)
    clock.now += 1000
    assert [await ours.admit("ada", "address") > 0 for _ in range(4)] == [False, False, False, True]


async def test_an_address_may_try_so_often_whatever_the_names(ada: str, clock: Clock) -> None:
    ours = throttling()
    admitted = [await ours.admit(f"user {number}", "192.0.2.1") == 0 for number in range(35)]
    assert admitted == [True] * 30 + [False] * 5
    assert await ours.admit("user 34", "192.0.2.2") == 0  # what an address was refused counts for no name


async def test_all_processes_count_together(ada: str) -> None:
    throttles = [throttling() for _ in range(4)]
    waits = await asyncio.gather(*(throttles[number % 4].admit("ada", str(number)) for number in range(40)))
    assert sum(wait == 0 for wait in waits) == 3


async def test_who_logged_in_begins_anew(ada: str, clock: Clock) -> None:
    ours = throttling()
    for number in range(10):
        assert await ours.admit("ada", str(number)) == 0
        await ours.forgive("ada")


async def test_what_limits_nobody_any_more_is_deleted(ada: str, clock: Clock) -> None:
    ours = throttling()
    await ours.admit("ada", "192.0.2.1")
    await ours.forget_old()
    assert await _rows() == 2
    clock.now += 61
    await ours.forget_old()
    assert await _rows() == 0


async def test_nobody_can_read_there_who_tried_from_where(ada: str) -> None:
    await throttling().admit("ada", "192.0.2.1")
    async with database.session() as session:
        told = str((await session.execute(select(attempts))).all())
    assert "ada" not in told
    assert "192.0.2" not in told


async def _rows() -> int:
    async with database.session() as session:
        return (await session.execute(select(func.count()).select_from(attempts))).scalar_one()
