"""PostgreSQL goes away under load, in every way it can: requests fail fast, and all is well by itself afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from database.postgresql import OwnServer, own_server
from database.stored_service import Load, command, make_stored_service, ready, under_load, used
from fault_proxy import FaultProxy, fault_proxy
from service_process import Running, running

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SHORT = {
    "APP_DATABASE_POOL_SECONDS": "1",
    "APP_DATABASE_CONNECT_SECONDS": "1",
    "APP_DATABASE_STATEMENT_SECONDS": "1",
    "APP_CHECK_SECONDS": "1",
    "APP_READY_CACHE_SECONDS": "0.1",
}
# A wait for a connection, one for connecting, a statement, a second until the client gives up on the server.
LONGEST_SECONDS = 1 + 1 + 1 + 1 + 0.5


@pytest.fixture
async def server() -> AsyncIterator[OwnServer]:
    async with own_server() as server:
        yield server


@pytest.fixture
async def proxy(server: OwnServer) -> AsyncIterator[FaultProxy]:
    async with fault_proxy("127.0.0.1", server.port) as proxy:
        yield proxy


@pytest.fixture
async def service(tmp_path: Path, proxy: FaultProxy) -> AsyncIterator[Running]:
    """Ready, on PostgreSQL behind the proxy."""
    folder = make_stored_service(tmp_path)
    url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
    code, output = await command(folder, "db", "upgrade", DATABASE_URL=url)
    assert code == 0, output
    async with running(folder, DATABASE_URL=url, **SHORT) as service:
        await ready(service, 200, seconds=5)
        yield service


async def healthy(load: Load, *, since: float) -> None:
    """All requests succeed again, and no connection was lost."""
    await ready(load.service, 200, seconds=5)
    await load.until(200, since=since, seconds=5)
    settled = time.monotonic()
    await asyncio.sleep(0.5)
    assert load.statuses(settled + 0.2) == {200}


async def idle(service: Running) -> None:
    """No connection is out for good: what clients that left had asked for is done in a moment."""
    async with asyncio.timeout(3):
        while await used(service):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (await service.ask("/items/count")).status == 200
    assert service.errors() == []


async def test_survives_a_restart_of_the_server(service: Running, server: OwnServer) -> None:
    async with under_load(service) as load:
        await load.until(200, since=0, seconds=5)
        server.stop()
        await load.until(503, since=0, seconds=5)
        await ready(service, 503, seconds=5)
        await server.start()
        await healthy(load, since=time.monotonic())
        assert load.statuses() == {200, 503}
        assert load.longest() < LONGEST_SECONDS
    await idle(service)


async def test_survives_connections_that_are_cut(service: Running, proxy: FaultProxy) -> None:
    async with under_load(service) as load:
        for _ in range(5):
            await load.until(200, since=time.monotonic(), seconds=5)
            proxy.reset()
        await healthy(load, since=time.monotonic())
        assert load.statuses() <= {200, 503}
        assert load.longest() < LONGEST_SECONDS
    await idle(service)


async def test_survives_a_port_that_nobody_listens_on(service: Running, proxy: FaultProxy) -> None:
    async with under_load(service) as load:
        await load.until(200, since=0, seconds=5)
        await proxy.refuse()
        gone = time.monotonic()
        await ready(service, 503, seconds=5)
        await load.until(503, since=gone, seconds=1)
        await asyncio.sleep(1)
        assert load.statuses(gone + 0.5) == {503}
        assert max(seconds for at, _, seconds in load.answers if at > gone + 0.5) < 0.5  # at once
        await proxy.heal()
        await healthy(load, since=time.monotonic())
    await idle(service)


async def test_survives_a_black_hole(service: Running, proxy: FaultProxy) -> None:
    async with under_load(service) as load:
        await load.until(200, since=0, seconds=5)
        proxy.swallow()
        gone = time.monotonic()
        assert await ready(service, 503, seconds=5) < 2.5
        await load.until(503, since=gone, seconds=LONGEST_SECONDS)
        await asyncio.sleep(2 * LONGEST_SECONDS)
        assert load.statuses(gone + LONGEST_SECONDS) == {503}
        await proxy.heal()
        healed = time.monotonic()
        await ready(service, 200, seconds=LONGEST_SECONDS)
        await asyncio.sleep(max(0, healed + LONGEST_SECONDS - time.monotonic()))
        await healthy(load, since=time.monotonic())
        assert load.statuses() == {200, 503}
        assert load.longest() < LONGEST_SECONDS
    await idle(service)


async def test_ends_in_time_in_a_black_hole(service: Running, proxy: FaultProxy) -> None:
    async with under_load(service) as load:
        await load.until(200, since=0, seconds=5)
    await idle(service)
    proxy.swallow()
    began = time.monotonic()
    service.signal()
    assert await service.ended() == 0
    assert time.monotonic() - began < 4
    assert service.errors() == []


async def test_a_restart_while_nobody_asks_costs_no_request(service: Running, server: OwnServer) -> None:
    async with under_load(service) as load:  # the pool is full of connections
        await load.until(200, since=0, seconds=5)
    await idle(service)
    server.stop()
    await server.start()
    answers = await asyncio.gather(*(service.ask("/items/count") for _ in range(20)))
    assert {answer.status for answer in answers} == {200}


async def test_idle_connections_through_a_black_hole_are_found_dead(service: Running, proxy: FaultProxy) -> None:
    assert (await service.ask("/items/count")).status == 200
    proxy.swallow()
    began = time.monotonic()
    assert (await service.ask("/items/count")).status == 503
    assert time.monotonic() - began < LONGEST_SECONDS
    await proxy.heal()
    assert (await service.ask("/items/count")).status == 200


async def test_an_endpoint_without_a_database_does_not_notice(service: Running, proxy: FaultProxy) -> None:
    async with under_load(service):
        proxy.swallow()
        for _ in range(20):
            began = time.monotonic()
            assert (await service.ask("/plain")).status == 200
            assert time.monotonic() - began < 0.5
            await asyncio.sleep(0.05)


async def test_tells_of_it_as_a_problem(service: Running, proxy: FaultProxy) -> None:
    await proxy.refuse()
    answer = await service.ask("/items/count")
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "The database cannot be used now"
    assert str(proxy.port) not in answer.body
    lines = [line for line in service.lines() if line["message"].startswith("the database cannot be used")]
    assert lines[-1]["request_id"] == answer.headers["x-request-id"]


async def test_a_statement_that_takes_too_long_spares_the_connection(service: Running) -> None:
    began = time.monotonic()
    assert (await service.ask("/sleep/30")).status == 503
    assert time.monotonic() - began < 2
    await idle(service)
