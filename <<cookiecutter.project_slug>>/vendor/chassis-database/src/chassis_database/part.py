"""The part of the service that is its `database`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from prometheus_client import CollectorRegistry
from prometheus_client.registry import Collector
from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from chassis.part import Check, Part, Resource, Schema

from .engine import close, lock_before_writing, serving_engine
from .health import SchemaCheck, answers
from .metrics import PoolCollector
from .observed import observe
from .settings import DatabaseSettings

if TYPE_CHECKING:
    import click

    from chassis.settings import Settings


class Database(Part):
    """The database of a service, put together in the team's module `database`:

        database = Database(package=__package__, metadata=Base.metadata)

    :param package: the name of the team's package; its migrations are the files in the folder `migrations` there.
    :param metadata: of the team's tables.
    """

    settings = DatabaseSettings

    def __init__(self, *, package: str, metadata: MetaData) -> None:
        self.package = package
        self._metadata = metadata
        self._others: Mapping[str, Part] = {}
        self._engine: AsyncEngine | None = None
        self._sessions: async_sessionmaker[AsyncSession] | None = None

    @contextlib.asynccontextmanager
    async def open(
        self, settings: Settings | DatabaseSettings, *, registry: CollectorRegistry | None = None
    ) -> AsyncIterator[Database]:
        """Have sessions to give for as long as this lasts. The service opens it itself; a command does it so:

            async with database.open(settings), database.session() as session: ...

        Connects to nothing before the first session needs it. Raises RuntimeError if it is open.
        """
        if self._engine is not None:
            raise RuntimeError("The database is open already: leave out `database.open()`.")
        known = cast("DatabaseSettings", settings)  # a service's settings have these too, from when it is put together
        engine = serving_engine(known)
        observe(engine, known, registry=registry)
        lock_before_writing(engine)
        self._engine, self._sessions = engine, async_sessionmaker(engine, expire_on_commit=False)
        try:
            yield self
        finally:
            self._engine = self._sessions = None
            await close(engine)

    @property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's engine, for what a session cannot do. Raises RuntimeError unless the database is open."""
        if self._engine is None:
            raise RuntimeError("The database is not open. In a command: async with database.open(settings): ...")
        return self._engine

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session for as long as the block lasts: committed at its end, rolled back if the block raises.

        Anywhere in a running service: endpoints (which take a `Session` as a parameter instead), background work,
        tasks. Objects stay usable after the commit. Raises UnavailableError, from the statements in it too.
        """
        if self._sessions is None:
            self.engine  # noqa: B018 - raises the error that says what to do
            raise AssertionError
        async with self._sessions() as session:  # closing it rolls back what was not committed
            yield session
            await session.commit()

    def join(self, others: Mapping[str, Part]) -> None:
        self._others = others

    def schemas(self) -> Sequence[Schema]:
        """The team's tables first, then those of the other parts."""
        others = [schema for part in self._others.values() if (schema := part.schema())]
        return [Schema("", self.folder, self._metadata), *others]

    @property
    def folder(self) -> Path:
        """Where the team's migrations are."""
        module = sys.modules[self.package]
        return Path(next(iter(module.__path__))) / "migrations"

    def resources(self) -> Mapping[str, Resource]:
        return {"database": self.open}

    def checks(self) -> Mapping[str, Check]:
        schema = SchemaCheck(lambda: [each.migrations for each in self.schemas()], package=self.package)
        return {"database": self._check_answer, "schema": lambda given: schema(self.engine)}

    async def _check_answer(self, given: Any) -> None:
        await answers(self.engine)

    def collectors(self) -> Iterable[Collector]:
        return [PoolCollector(lambda: self._engine)]

    def commands(self) -> Sequence[click.Command]:
        from .commands import db

        return [db]
