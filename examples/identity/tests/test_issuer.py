import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text, update

from identity import issuer
from identity.database import attempts, database, families
from identity.issuer import issuing

from .people import PASSWORD, settings

pytestmark = pytest.mark.anyio


async def stored() -> list[int]:
    """How many families and how many counted attempts there are."""
    async with database.session() as session:
        return [(await session.scalar(select(func.count()).select_from(table))) or 0 for table in (families, attempts)]


async def expire() -> None:
    async with database.session() as session:
        await session.execute(update(families).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
        await session.execute(update(attempts).values(full_at=0))


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(1000):
        if await holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not in 10 s")


async def is_clean() -> bool:
    return await stored() == [0, 0]


async def test_what_is_old_is_deleted_while_the_service_runs(ada: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer, "CLEANING_SECONDS", 0.01)
    async with issuing(settings()) as ours:
        await ours.log_in("ada", PASSWORD, frozenset(), address="192.0.2.1")
        assert await stored() == [1, 1]  # of the attempts, that of the address
        await expire()
        await until(is_clean)


async def test_where_the_database_is_away_it_is_tried_again(
    ada: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def is_told() -> bool:
        return "old sessions could not be deleted" in caplog.text

    monkeypatch.setattr(issuer, "CLEANING_SECONDS", 0.01)
    async with database.session() as session:
        await session.execute(text("ALTER TABLE attempts RENAME TO away"))
    async with issuing(settings()) as ours:
        await until(is_told)
        async with database.session() as session:
            await session.execute(text("ALTER TABLE away RENAME TO attempts"))
        await ours.log_in("ada", PASSWORD, frozenset(), address="192.0.2.1")
        await expire()
        await until(is_clean)
