"""PostgreSQL goes away under load, in every way it can: requests fail fast, and all is well by itself afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from database.postgresql import OwnServer, own_server
from database.stored_service import Load, command, make_stored_service, ready, under_load, used
from fault_proxy import FaultProxy, fault_proxy
from patience import HANGS
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
# What waits for the database waits for longer than whoever asks: `ask` gives up after HANGS.
LONG = dict.fromkeys([name for name in SHORT if "DATABASE" in name], str(3 * HANGS)) | {
    "APP_READY_CACHE_SECONDS": "0.1"
}


@pytest.fixture
async def server() -> AsyncIterator[OwnServer]:
    async with own_server() as server:
        yield server


@pytest.fixture
async def proxy(server: OwnServer) -> AsyncIterator[FaultProxy]:
    async with fault_proxy("127.0.0.1", server.port) as proxy:
        yield proxy


@pytest.fixture
def bounds() -> dict[str, str]:
    return SHORT


@pytest.fixture
async def service(tmp_path: Path, proxy: FaultProxy, bounds: dict[str, str]) -> AsyncIterator[Running]:
    """Ready, on PostgreSQL behind the proxy."""
    folder = make_stored_service(tmp_path)
    url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres"
    code, output = await command(folder, "db", "upgrade", DATABASE_URL=url)
    assert code == 0, output
    async with running(folder, DATABASE_URL=url, **bounds) as service:
        await ready(service, 200)
        yield service


patient = pytest.mark.parametrize("bounds", [LONG], ids=[""])


async def healthy(load: Load) -> None:
    """All requests succeed again, and no connection was lost."""
    await ready(load.service, 200)
    async with asyncio.timeout(HANGS):
        settled = 0.0
        while load.statuses(settled) != {200}:
            settled = time.monotonic()
            await asyncio.sleep(0.5)


async def idle(service: Running) -> None:
    """No connection is out for good: what clients that left had asked for is done in a moment."""
    async with asyncio.timeout(HANGS):
        while await used(service):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert (await service.ask("/items/count")).status == 200
    assert service.errors() == []


async def test_survives_a_restart_of_the_server(service: Running, server: OwnServer) -> None:
    async with under_load(service) as load:
        await load.until(200, since=0)
        server.stop()
        await load.until(503, since=0)
        await ready(service, 503)
        await server.start()
        await healthy(load)
        assert load.statuses() == {200, 503}
    await idle(service)


async def test_survives_connections_that_are_cut(service: Running, proxy: FaultProxy) -> None:
    async with under_load(service) as load:
        for _ in range(5):
            await load.until(200, since=time.monotonic())
            proxy.reset()
        await healthy(load)
        assert load.statuses() <= {200, 503}
    await idle(service)


@patient
async def test_survives_a_port_that_nobody_listens_on(service: Running, proxy: FaultProxy) -> None:
    async with under_load(service) as load:
        await load.until(200, since=0)
        await proxy.refuse()
        gone = time.monotonic()
        await ready(service, 503)
        await load.until(503, since=gone)  # at once: nothing is waited for
        await asyncio.sleep(1)
        assert load.statuses(gone) == {503}
        await proxy.heal()
        await healthy(load)
    await idle(service)


async def test_survives_a_black_hole(service: Running, proxy: FaultProxy) -> None:
    async with under_load(service) as load:
        await load.until(200, since=0)
        proxy.swallow()
        gone = time.monotonic()
        await ready(service, 503)
        await load.until(503, since=gone)
        await asyncio.sleep(2 * LONGEST_SECONDS)
        assert load.statuses(gone) == {503}
        await proxy.heal()
        await healthy(load)
        assert load.statuses() == {200, 503}
    await idle(service)


async def test_ends_in_time_in_a_black_hole(service: Running, proxy: FaultProxy) -> None:
    async with under_load(service) as load:
        await load.until(200, since=0)
    await idle(service)
    proxy.swallow()
    service.signal()
    assert await service.ended() == 0
    assert service.errors() == []


async def test_a_restart_while_nobody_asks_costs_no_request(service: Running, server: OwnServer) -> None:
    async with under_load(service) as load:  # the pool is full of connections
        await load.until(200, since=0)
    await idle(service)
    server.stop()
    await server.start()
    answers = await asyncio.gather(*(service.ask("/items/count") for _ in range(20)))
    assert {answer.status for answer in answers} == {200}


async def test_idle_connections_through_a_black_hole_are_found_dead(service: Running, proxy: FaultProxy) -> None:
    assert (await service.ask("/items/count")).status == 200
    proxy.swallow()
    assert (await service.ask("/items/count")).status == 503
    await proxy.heal()
    assert (await service.ask("/items/count")).status == 200


@patient
async def test_an_endpoint_without_a_database_does_not_notice(service: Running, proxy: FaultProxy) -> None:
    proxy.swallow()
    waiting = [asyncio.create_task(service.ask("/items/count")) for _ in range(20)]
    for _ in range(20):
        assert (await service.ask("/plain")).status == 200
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


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
    assert (await service.ask(f"/sleep/{2 * HANGS}")).status == 503
    await idle(service)
