import asyncio
import logging
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, update

from identity.database import database, families
from identity.families import Families, Turned

from .people import settings, user

pytestmark = pytest.mark.anyio


class Sessions:
    """The families of one service, each step in a transaction of its own, as requests are."""

    def __init__(self, **changed: int) -> None:
        self._families = Families(settings(**changed))

    async def begin(self, *scopes: str) -> str:
        ada = await user("ada")
        async with database.session() as session:
            return await self._families.begin(session, ada, scopes)

    async def turn(self, token: str) -> Turned | None:
        async with database.session() as session:
            return await self._families.turn(session, token)

    async def turned(self, token: str) -> Turned:
        turned = await self.turn(token)
        assert turned
        return turned

    async def end(self, token: str) -> bool:
        async with database.session() as session:
            return await self._families.end(session, token)

    async def forget_old(self) -> int:
        async with database.session() as session:
            return await self._families.forget_old(session)


async def test_a_token_is_turned_into_the_next_one_again_and_again(ada: str) -> None:
    sessions = Sessions()
    token, seen = await sessions.begin("read", "write"), set()
    for _ in range(5):
        turned = await sessions.turned(token)
        assert turned.user_id == ada
        assert turned.scopes == {"read", "write"}
        seen.add(token)
        token = turned.token
    assert len(seen | {token}) == 6


async def test_a_token_that_was_used_ends_its_family_and_no_other(ada: str, caplog: pytest.LogCaptureFixture) -> None:
    sessions = Sessions()
    first, other = await sessions.begin(), await sessions.begin()
    second = (await sessions.turned(first)).token
    third = (await sessions.turned(second)).token
    with caplog.at_level(logging.WARNING, "identity"):
        assert await sessions.turn(first) is None
    assert "was used up" in caplog.text
    assert not any(token in caplog.text for token in (first, second, third))
    for token in (third, second, first):
        assert await sessions.turn(token) is None
    assert await sessions.turn(other)


@pytest.mark.parametrize("times", [2, 20])
async def test_of_many_that_use_one_token_at_once_one_wins_and_the_family_ends(ada: str, times: int) -> None:
    sessions = Sessions()
    for _ in range(3):
        token = await sessions.begin()
        turned = [each for each in await asyncio.gather(*(sessions.turn(token) for _ in range(times))) if each]
        assert len(turned) == 1
        assert await sessions.turn(turned[0].token) is None


async def test_what_is_stored_is_no_token(ada: str) -> None:
    sessions = Sessions()
    token = await sessions.begin()
    async with database.session() as session:
        row = (await session.execute(select(families))).one()
    assert token.partition(".")[2] not in str(row)
    for stolen in (row.token, f"{row.id}.{row.token}", f"{row.id}.{row.token[:43]}"):
        assert await sessions.turn(stolen) is None


@pytest.mark.parametrize("token", ["", ".", "a.b", "0" * 32 + "." + "A" * 43, "' OR 1=1 --", "x" * 10_000, "\ud800"])
async def test_what_was_never_a_token(ada: str, token: str) -> None:
    sessions = Sessions()
    good = await sessions.begin()
    assert await sessions.turn(token) is None
    assert not await sessions.end(token)
    assert await sessions.turn(good)


async def test_a_family_that_was_ended_stays_so(ada: str) -> None:
    sessions = Sessions()
    token = await sessions.begin()
    assert await sessions.end(token)
    assert not await sessions.end(token)
    assert await sessions.turn(token) is None


async def _move(**moved: timedelta) -> None:
    async with database.session() as session:
        await session.execute(update(families).values({name: datetime.now(UTC) + by for name, by in moved.items()}))


async def test_a_token_expires_and_each_turn_gives_it_its_time_anew(ada: str) -> None:
    sessions = Sessions()
    token = await sessions.begin()
    await _move(expires_at=timedelta(seconds=5))
    token = (await sessions.turned(token)).token
    async with database.session() as session:
        expires_at = (await session.execute(select(families.c.expires_at))).scalar_one()
    assert timedelta(days=6.9) < expires_at - datetime.now(UTC) <= timedelta(days=7)
    await _move(expires_at=timedelta(seconds=-1))
    assert await sessions.turn(token) is None


async def test_a_session_ends_however_often_it_was_refreshed(ada: str) -> None:
    sessions = Sessions()
    token = await sessions.begin()
    await _move(ends_at=timedelta(minutes=1))
    await sessions.turned(token)
    async with database.session() as session:
        row = (await session.execute(select(families))).one()
    assert row.expires_at == row.ends_at
    short = Sessions(session_seconds=60)
    await short.begin()
    async with database.session() as session:
        least = (await session.execute(select(func.min(families.c.expires_at)))).scalar_one()
    assert least - datetime.now(UTC) <= timedelta(seconds=60)


async def test_what_is_of_no_use_is_deleted_and_nothing_else(ada: str) -> None:
    sessions = Sessions()
    await sessions.begin()
    await _move(expires_at=timedelta(seconds=-1))
    ended, living = await sessions.begin(), await sessions.begin()
    await sessions.end(ended)
    assert await sessions.forget_old() == 1
    await _move(revoked_at=timedelta(days=-2))
    assert await sessions.forget_old() == 2
    assert await sessions.turn(living) is None
