"""Sessions: one a request or task, committed or rolled back in one place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from .part import Database


async def request_session(request: HTTPConnection) -> AsyncIterator[AsyncSession]:
    """The session of a request. Raises RuntimeError if the service has no database."""
    database: Database | None = getattr(request.state, "database", None)
    if database is None:
        raise RuntimeError("The service has no database: answer the template's question `database` with true.")
    async with database.session() as session:
        yield session


# Of the function, not of the request: what stands behind `yield` runs when the endpoint has returned and its result is
# JSON, before any byte is sent. So a commit that fails is the answer, and no stream holds a connection.
Session = Annotated[AsyncSession, Depends(request_session, scope="function")]
"""A parameter of an endpoint: `session: Session`. Committed when the endpoint returns, rolled back when it raises."""
