"""A service with users, for tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import APIRouter
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncSession

from chassis import Service
from chassis_auth import Auth, CurrentCaller, requires
from chassis_auth.issuing import users
from chassis_auth.issuing.passwords import Passwords
from chassis_auth.issuing.users import User
from chassis_database import Database

PASSWORD = "correct horse battery staple"  # noqa: S105 - everybody's

on_sqlite = pytest.mark.parametrize("url", ["sqlite"], indirect=True)
"""Marks a test to which the kind of database makes no difference."""

router = APIRouter()


@router.get("/me")
async def me(caller: CurrentCaller) -> dict[str, Any]:
    return {"subject": caller.subject, "scopes": sorted(caller.scopes), "claims": dict(caller.claims)}


@router.post("/notes", dependencies=[requires("write")])
async def write() -> str:
    return "written"


class Company:
    """A service that issues tokens, and its database."""

    def __init__(self) -> None:
        self.database = Database(package="under_test", metadata=MetaData())

    def service(self) -> Service:
        return Service(package="under_test", routers=[router], parts={"database": self.database, "auth": Auth()})

    def settings(self, **changed: Any) -> Any:
        return self.service().load().model_copy(update=changed)

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        async with self.database.open(self.settings()):
            yield

    def session(self) -> contextlib.AbstractAsyncContextManager[AsyncSession]:
        return self.database.session()

    async def hire(self, name: str, *scopes: str) -> str:
        """Add a user whose password is PASSWORD; return the id."""
        with Passwords(self.settings()) as passwords:
            hashed = await passwords.hash(PASSWORD)
        async with self.session() as session:
            return await users.add(session, name, password=hashed, scopes=scopes)

    def hire_now(self, name: str, *scopes: str) -> str:
        """The same where nothing is open and nothing runs."""

        async def hire() -> str:
            async with self.opened():
                return await self.hire(name, *scopes)

        return asyncio.run(hire())

    async def user(self, name: str) -> User:
        async with self.session() as session:
            found = await users.find(session, name)
        assert found
        return found
