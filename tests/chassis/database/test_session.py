import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from fastapi import APIRouter, Request
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient

from chassis import Service, Settings, http_client
from chassis.failures import StartError
from chassis_database import Database, Session, UnavailableError
from chassis_database.session import request_session
from chassis_database.settings import DatabaseSettings
from database.sample import Base, Item
from patience import HANGS

pytestmark = pytest.mark.anyio
router = APIRouter()

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


class ServiceSettings(DatabaseSettings, Settings):
    pass


@router.post("/items/{name}")
async def add(session: Session, name: str) -> str:
    session.add(Item(name=name))
    return name


@router.post("/items/{name}/fails")
async def add_and_fail(session: Session, name: str) -> str:
    session.add(Item(name=name))
    await session.flush()
    raise LookupError


@router.get("/items")
async def names(session: Session) -> list[str]:
    return [*await session.scalars(select(Item.name).order_by(Item.name))]


@router.get("/stream")
async def stream(request: Request, session: Session) -> StreamingResponse:
    found = [*await session.scalars(select(Item.name))]

    async def parts() -> AsyncIterator[str]:
        yield f"{request.state.database.engine.pool.checkedout()} "
        yield f"{len(found)}"

    return StreamingResponse(parts())


@router.post("/later/{name}")
async def later(request: Request, name: str) -> str:
    async def work() -> None:
        async with request.state.database.session() as session:
            session.add(Item(name=name))

    request.state.background.spawn(work())
    return "accepted"


async def make_tables(database: Database, settings: DatabaseSettings) -> None:
    async with database.open(settings), database.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)


@pytest.fixture
def settings(url: str, database: Database) -> ServiceSettings:
    """With the tables made."""
    settings = ServiceSettings(name="under-test", database_url=url)
    asyncio.run(make_tables(database, settings))
    return settings


@pytest.fixture
def client(database: Database, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")
    service = Service(package="under_test", routers=[router], parts={"database": database})
    with TestClient(service.app(settings), raise_server_exceptions=False) as client:
        yield client


async def add_items(database: Database, *names: str, made_at: datetime | None = None) -> None:
    async with database.session() as session:
        session.add_all([Item(name=name, made_at=made_at) for name in names])


async def add_one_and_fail(database: Database) -> None:
    async with database.session() as session:
        session.add(Item(name="a"))
        await session.flush()
        raise LookupError


async def add_one_in_a_savepoint_and_fail(database: Database) -> None:
    async with database.session() as session:
        await add_in_a_savepoint(session, "a")
        raise LookupError


async def add_in_a_savepoint(session: AsyncSession, name: str) -> None:
    async with session.begin_nested():
        session.add(Item(name=name))


async def execute(database: Database, statement: str) -> None:
    async with database.session() as session:
        await session.execute(text(statement))


def test_what_an_endpoint_did_is_committed(client: TestClient) -> None:
    assert client.post("/items/a").status_code == 200
    assert client.get("/items").json() == ["a"]


def test_what_an_endpoint_did_before_it_failed_is_rolled_back(client: TestClient) -> None:
    assert client.post("/items/a/fails").status_code == 500
    assert client.get("/items").json() == []


def test_a_commit_that_fails_is_no_success(client: TestClient) -> None:
    client.post("/items/a")
    assert client.post("/items/a").status_code == 500  # it is unique, which the commit's flush finds out
    assert client.get("/items").json() == ["a"]


def test_no_connection_is_held_while_a_response_is_streamed(client: TestClient) -> None:
    client.post("/items/a")
    assert client.get("/stream").text == "0 1"


def test_background_work_has_sessions(client: TestClient) -> None:
    client.post("/later/b")
    client.portal.call(asyncio.sleep, 0.2)  # type: ignore[union-attr] # there is one while it is entered
    assert client.get("/items").json() == ["b"]


async def test_a_session_commits_at_its_end(database: Database, settings: ServiceSettings) -> None:
    async with database.open(settings):
        async with database.session() as session:
            session.add(item := Item(name="a"))
        assert item.id  # usable after the commit
        async with database.session() as session:
            assert await session.scalar(select(func.count()).select_from(Item)) == 1


async def test_a_session_is_rolled_back_by_an_error(database: Database, settings: ServiceSettings) -> None:
    async with database.open(settings):
        with pytest.raises(LookupError):
            await add_one_and_fail(database)
        async with database.session() as session:
            assert await session.scalar(select(func.count()).select_from(Item)) == 0
        assert _used(database) == 0


async def test_a_session_is_rolled_back_by_a_cancellation(database: Database, settings: ServiceSettings) -> None:
    async with database.open(settings):
        begun = asyncio.Event()

        async def work() -> None:
            async with database.session() as session:
                session.add(Item(name="a"))
                await session.flush()
                begun.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.session() as session:
            assert await session.scalar(select(func.count()).select_from(Item)) == 0
        assert _used(database) == 0


async def test_an_integrity_error_is_the_teams_business(database: Database, settings: ServiceSettings) -> None:
    async with database.open(settings):
        with pytest.raises(IntegrityError):
            await add_items(database, "a", "a")


async def test_a_savepoint_is_taken_back_alone_and_with_the_whole(
    database: Database, settings: ServiceSettings
) -> None:
    async with database.open(settings):
        with pytest.raises(LookupError):
            await add_one_in_a_savepoint_and_fail(database)
        async with database.session() as session:
            session.add(Item(name="b"))
            with pytest.raises(IntegrityError):
                await add_in_a_savepoint(session, "b")
        async with database.session() as session:
            assert [*await session.scalars(select(Item.name))] == ["b"]


async def test_reading_and_then_writing_at_the_same_time_loses_nothing(
    database: Database, settings: ServiceSettings
) -> None:
    async def increment() -> None:
        async with database.session() as session:
            item = (await session.scalars(select(Item).where(Item.id == 1).with_for_update())).one()
            await asyncio.sleep(0.002)
            item.name = str(int(item.name) + 1)

    async with database.open(settings):
        async with database.session() as session:
            session.add(Item(id=1, name="0"))
        await asyncio.gather(*(increment() for _ in range(20)))
        async with database.session() as session:
            assert await session.scalar(select(Item.name)) == "20"


async def test_moments_come_back_as_they_were(database: Database, settings: ServiceSettings) -> None:
    moment = datetime(2026, 7, 1, 12, 30, 0, 123456, tzinfo=timezone(timedelta(hours=2)))
    async with database.open(settings):
        async with database.session() as session:
            session.add(Item(name="a", made_at=moment))
        async with database.session() as session:
            found = await session.scalar(select(Item.made_at))
            assert found == moment
            assert found is not None
            assert found.tzinfo is UTC


async def test_a_moment_without_a_time_zone_is_refused(database: Database, settings: ServiceSettings) -> None:
    async with database.open(settings):
        with pytest.raises(Exception, match="without a time zone"):
            async with database.session() as session:
                session.add(Item(name="a", made_at=datetime(2026, 7, 1)))


async def test_says_what_to_do_where_the_database_is_not_open(database: Database) -> None:
    with pytest.raises(RuntimeError, match=r"async with database\.open\(settings\)"):
        await database.session().__aenter__()


async def test_is_not_opened_twice(database: Database, settings: ServiceSettings) -> None:
    async with database.open(settings):
        with pytest.raises(RuntimeError, match="open already"):
            await database.open(settings).__aenter__()


async def test_an_exhausted_pool_gives_up_soon(database: Database, settings: ServiceSettings) -> None:
    small = settings.model_copy(update={"database_pool_size": 1, "database_pool_seconds": 0.1})
    async with database.open(small), database.session() as first:
        await first.execute(text("SELECT 1"))
        with pytest.raises(UnavailableError) as raised:
            await execute(database, "SELECT 1")
        assert raised.value.kind == "busy"
        assert raised.value.headers == {"retry-after": "1"}


async def test_a_statement_that_takes_too_long_is_ended(database: Database, settings: ServiceSettings) -> None:
    quick = settings.model_copy(update={"database_statement_seconds": 0.2})
    async with database.open(quick):
        began = asyncio.get_running_loop().time()
        with pytest.raises(UnavailableError) as raised:
            await execute(database, ENDLESS)
        assert raised.value.kind == "timeout"
        assert asyncio.get_running_loop().time() - began < 1
        async with database.session() as session:
            assert await session.scalar(text("SELECT 1")) == 1
        assert _used(database) == 0


async def test_the_limit_of_a_statement_that_is_over_ends_no_later_one(
    database: Database, settings: ServiceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted: list[object] = []
    monkeypatch.setattr("chassis_database.observed.interrupt_soon", interrupted.append)
    async with database.open(settings.model_copy(update={"database_statement_seconds": 0.1})):
        await execute(database, "SELECT 1")
        with pytest.raises(DBAPIError):
            await execute(database, "SELECT nothing")
        await asyncio.sleep(0.2)
    assert interrupted == []


async def test_a_request_that_is_cancelled_in_a_statement_ends_at_once(
    database: Database, settings: ServiceSettings
) -> None:
    async with database.open(settings):
        async with asyncio.timeout(HANGS):  # the statement itself has no end
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(execute(database, ENDLESS), 0.2)
        async with database.session() as session:
            assert await session.scalar(text("SELECT 1")) == 1
        assert _used(database) == 0


async def test_who_waits_too_long_for_another_writer_is_told(
    database: Database, settings: ServiceSettings, url: str
) -> None:
    if not url.startswith("sqlite"):
        pytest.skip("PostgreSQL has many writers")
    quick = settings.model_copy(update={"database_statement_seconds": 0.2})
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        async with database.open(quick):
            with pytest.raises(UnavailableError) as raised:
                await add_items(database, "a")
            assert raised.value.kind == "busy"
            await execute(database, "SELECT 1")  # reading waits for nobody
            other.execute("COMMIT")
            await add_items(database, "a")


def test_a_resource_cannot_take_the_name_of_a_part(database: Database) -> None:
    service = Service(package="under_test", parts={"database": database}, resources={"database": http_client})
    with pytest.raises(StartError, match="cannot be called 'database'"):
        service.app(Settings(name="under-test"))


def test_a_check_cannot_take_the_name_of_a_parts(database: Database) -> None:
    async def check(given: object) -> None:
        pass

    service = Service(package="under_test", parts={"database": database}, checks={"schema": check})
    with pytest.raises(StartError, match="two checks called 'schema'"):
        service.app(Settings(name="under-test"))


def _used(database: Database) -> int:
    pool: Any = database.engine.pool
    used: int = pool.checkedout()
    return used


async def counted(session: Session) -> str:
    return str(session)


def test_a_test_can_give_another_session(database: Database, settings: ServiceSettings) -> None:
    plain, outer = APIRouter(), APIRouter()
    plain.get("/session")(counted)
    outer.include_router(plain, prefix="/nested")
    service = Service(package="under_test", routers=[plain, outer], parts={"database": database})
    service.dependency_overrides[request_session] = lambda: "another"
    with TestClient(service.app(settings)) as client:
        assert [client.get(path).json() for path in ("/session", "/nested/session")] == ["another", "another"]
