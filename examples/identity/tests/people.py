"""Users, for tests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any, TypeVar

from identity import users
from identity.__main__ import service
from identity.database import database, metadata
from identity.passwords import Passwords
from identity.settings import Settings
from identity.users import User

PASSWORD = "correct horse battery staple"  # noqa: S105 - everybody's

Result = TypeVar("Result")


def settings(**changed: Any) -> Settings:
    """The settings of the service, some of them `changed`."""
    found: Any = service.load()
    changed_settings: Settings = found.model_copy(update=changed)
    return changed_settings


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[None]:
    """The database, open for as long as the block lasts."""
    async with database.open(settings()):
        yield


def run_now(work: Coroutine[Any, Any, Result]) -> Result:
    """Do `work` on the database, where it is not open and nothing runs."""

    async def run() -> Result:
        async with opened():
            return await work

    return asyncio.run(run())


async def empty() -> None:
    """Remove everybody, and all that is known of them."""
    async with database.session() as session:
        for table in reversed(metadata.sorted_tables):
            await session.execute(table.delete())


async def hire(name: str, *scopes: str) -> str:
    """Add a user whose password is PASSWORD; return the id."""
    with Passwords(settings()) as passwords:
        hashed = await passwords.hash(PASSWORD)
    async with database.session() as session:
        return await users.add(session, name, password=hashed, scopes=scopes)


def hire_now(name: str, *scopes: str) -> str:
    return run_now(hire(name, *scopes))


async def change(name: str, **values: Any) -> None:
    async with database.session() as session:
        await users.change(session, name, **values)


async def user(name: str) -> User:
    async with database.session() as session:
        found = await users.find(session, name)
    assert found
    return found
