"""How often somebody may try to log in: counted in the database, for all processes together."""

import hashlib
import time

from sqlalchemy import case, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from .database import attempts, database
from .settings import Settings

BY_ADDRESS = 10  # times as many as for one name: many people may share an address


class Throttle:
    """Admits a number of attempts in a window, for a user name and for an address.

    Whoever is at the keyboard: an attempt counts before it is known whether the password is right, and the name counts
    whether it exists or not. A bucket (GCRA) is one number in one row, changed by one statement.
    """

    def __init__(self, settings: Settings) -> None:
        self._quota, self._window = settings.login_attempts, settings.login_seconds

    async def admit(self, name: str, address: str) -> float:
        """Count an attempt. Returns 0 if it may go on, else in how many seconds the next one may."""
        async with database.session() as session:
            if wait := await self._take(session, _key("address", address), self._quota * BY_ADDRESS):
                return wait
            return await self._take(session, _key("name", name), self._quota)

    async def forgive(self, name: str) -> None:
        """Forget the attempts with `name`: the last one was right."""
        async with database.session() as session:
            await session.execute(delete(attempts).where(attempts.c.key == _key("name", name)))

    async def forget_old(self) -> None:
        """Delete what no longer limits anybody."""
        async with database.session() as session:
            await session.execute(delete(attempts).where(attempts.c.full_at < time.time()))

    async def _take(self, session: AsyncSession, key: str, quota: int) -> float:
        now, interval = time.time(), self._window / quota
        full_at = case((attempts.c.full_at > now, attempts.c.full_at), else_=now) + interval
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        statement = insert(attempts).values(key=key, full_at=now + interval)
        statement = statement.on_conflict_do_update(
            index_elements=["key"], set_={"full_at": full_at}, where=full_at <= now + self._window
        )
        taken = await session.execute(statement.returning(attempts.c.full_at))
        if taken.first() is not None:
            return 0
        found = await session.scalar(select(attempts.c.full_at).where(attempts.c.key == key))
        return max((found or now) + interval - now - self._window, 1)


def _key(kind: str, value: str) -> str:
    # Hashed, so that the table is no list of who came from where.
    return hashlib.sha256(f"{kind} {value}".encode("utf-8", "replace")).hexdigest()
