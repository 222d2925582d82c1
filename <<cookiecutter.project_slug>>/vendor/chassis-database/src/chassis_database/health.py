"""Can the database be used, and has it the tables that the code expects?"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from .errors import SchemaBehindError
from .revisions import History

FRESH_SECONDS = 60.0
"""How long a schema that was right is taken to be so: it does not go back by itself."""

log = logging.getLogger(__name__)


async def answers(engine: AsyncEngine) -> None:
    """Raises UnavailableError unless the database answers."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


async def applied(connection: AsyncConnection) -> list[str]:
    """The revisions that the database says it is at; none where it was never migrated. Raises UnavailableError."""
    if not await connection.run_sync(lambda sync: inspect(sync).has_table("alembic_version")):
        return []
    return [*await connection.scalars(text("SELECT version_num FROM alembic_version"))]


class SchemaCheck:
    """Passes when all migrations were applied. A database that is ahead passes: old replicas serve until they go.

    :param folders: gives where the migrations are.
    :param package: of the team, for what to type.
    """

    def __init__(self, folders: Callable[[], Sequence[Path]], *, package: str) -> None:
        self._folders = folders
        self._package = package
        self._good: tuple[AsyncEngine | None, float] = (None, 0.0)
        self._told: AsyncEngine | None = None

    @cached_property
    def _history(self) -> History:
        return History(self._folders())

    async def __call__(self, engine: AsyncEngine) -> None:
        """Raises SchemaBehindError or UnavailableError."""
        good, until = self._good
        if good is engine and time.monotonic() < until:
            return
        async with engine.connect() as connection:
            missing = self._history.missing(await applied(connection))
        if missing:
            if self._told is not engine:
                self._told = engine
                log.warning("the database lacks tables of this version: python -m %s db upgrade", self._package)
            raise SchemaBehindError
        self._good = (engine, time.monotonic() + FRESH_SECONDS)
