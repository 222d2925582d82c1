import asyncio

import asyncpg
import pytest

from chassis_database import Database
from chassis_database.settings import DatabaseSettings

pytestmark = pytest.mark.anyio


async def test_a_broken_connection_is_dropped_without_a_goodbye(
    database: Database, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not url.startswith("postgresql"):
        pytest.skip("SQLite has nobody to say it to")
    said: list[object] = []
    close = asyncpg.Connection.close

    async def saying(connection: asyncpg.Connection, **how: float) -> None:
        if not connection.is_closed():
            said.append(how)
        await close(connection, **how)

    monkeypatch.setattr(asyncpg.Connection, "close", saying)
    async with database.open(DatabaseSettings(database_url=url)):
        async with database.engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            await connection.invalidate()
        assert driver is not None
        assert driver.is_closed()
        await asyncio.sleep(0.01)  # the loop closes its socket
    assert said == []
