import asyncio
import json
import signal
import socket
from pathlib import Path

import pytest

from patience import HANGS
from ports import free_port
from service_process import Running, ask, connected, launched, running

pytestmark = pytest.mark.anyio
DRAIN_SECONDS = 3  # in which a dozen requests are answered, on a machine of any speed
NEVER = str(2 * HANGS)  # it would be waited for in vain


@pytest.mark.slow
async def test_the_drain_loses_and_refuses_nothing(sample_service: Path) -> None:
    async with running(sample_service, APP_DRAIN_SECONDS=str(DRAIN_SECONDS)) as service:
        async with connected(service.port) as idle:
            await idle.ask("/api/pid")
            in_flight = [
                asyncio.create_task(service.ask(f"/api/{what}/{DRAIN_SECONDS + 0.5}")) for what in ("slow", "stream")
            ]
            await service.ask("/api/later", method="POST")
            await asyncio.sleep(0.1)
            service.signal()
            await _until_draining(service)
            for _ in range(12):
                response = await service.ask("/api/pid")
                assert (response.status, response.headers["connection"]) == (200, "close")
            assert [response.body for response in await asyncio.gather(*in_flight)] == ['"done"', "first last"]
            assert await service.ended() == 0
        output = service.output()
        # Requests, then background work, then resources, then the log.
        assert output.index("background work done") < output.index("pool closed") < output.index('"stopped"')
        assert service.errors() == []


@pytest.mark.slow
async def test_to_the_end_of_the_drain_clients_are_asked_to_reconnect(sample_service: Path) -> None:
    async with running(sample_service, APP_DRAIN_SECONDS=NEVER) as service:
        service.signal()
        await _until_draining(service)
        for _ in range(8):  # each second uvicorn makes a new list of headers
            await asyncio.sleep(0.2)
            assert (await service.ask("/api/pid")).headers["connection"] == "close"


async def _until_draining(service: Running) -> None:
    await service.draining()
    assert (await service.ask("/readyz")).json() == {"status": "draining"}
    assert (await service.ask("/livez")).status == 200
    assert (await service.ask("/startupz")).status == 200


@pytest.mark.slow
async def test_an_idle_connection_does_not_delay_the_end(sample_service: Path) -> None:
    async with (
        running(sample_service, APP_SHUTDOWN_SECONDS=NEVER.removesuffix(".0")) as service,
        connected(service.port) as idle,
    ):
        await idle.ask("/api/pid")
        service.signal(signal.SIGINT)
        assert await service.ended() == 0


@pytest.mark.slow
async def test_the_deadline_cancels_what_is_still_in_flight(sample_service: Path) -> None:
    async with running(sample_service, APP_SHUTDOWN_SECONDS="1") as service:
        request = asyncio.create_task(service.ask("/api/slow/30"))
        await asyncio.sleep(0.1)
        service.signal()
        assert await service.ended() == 1
        assert service.errors() == ["1 requests were cancelled: not done in 1 s"]
        assert "pool closed" in service.output()
        await asyncio.wait([request])


@pytest.mark.slow
async def test_a_second_signal_ends_it_at_once(sample_service: Path) -> None:
    async with running(sample_service, APP_DRAIN_SECONDS=NEVER) as service:
        service.signal()
        await _until_draining(service)
        service.signal()
        assert await service.ended() == 128 + signal.SIGTERM


@pytest.mark.slow
async def test_a_signal_during_the_start_ends_it_without_a_drain(sample_service: Path) -> None:
    async with launched(sample_service, SLOW_START="1", APP_DRAIN_SECONDS=NEVER) as service:
        await service.said("pool opening")  # the signal handlers come before the resources
        service.signal()
        assert await service.ended() == 0
        assert "pool closed" in service.output()


@pytest.mark.slow
async def test_an_absent_resource_is_named_in_one_line(sample_service: Path) -> None:
    async with launched(sample_service, ABSENT="1") as service:
        assert await service.ended() == 3
        assert [json.loads(line)["message"] for line in service.output().splitlines()] == [
            "Cannot start: the resource 'pool' could not be opened: ConnectionRefusedError: nobody listens"
        ]


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["PORT", "ADMIN_PORT"])
async def test_a_taken_port_is_told_in_one_sentence(sample_service: Path, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with launched(sample_service, **{variable: str(port)}) as service:
            assert await service.ended() == 2
            (line,) = service.output().splitlines()
            assert f"Cannot listen on 127.0.0.1:{port}: Address already in use. Set {variable}" in line


@pytest.mark.slow
async def test_metrics_can_have_a_port_of_their_own(sample_service: Path) -> None:
    async with running(sample_service, ADMIN_PORT=str(port := free_port())) as service:
        assert (await service.ask("/metrics")).status == 404
        assert (await service.ask("/readyz")).json() == {"status": "ready", "checks": {"database": "ok"}}
        await service.ask("/api/pid")
        assert 'http_requests_total{method="GET",route="/api/pid"' in (await ask(port, "/metrics")).body
        assert [(await ask(port, path)).status for path in ("/api/pid", "/readyz", "/livez")] == [404, 404, 404]


@pytest.mark.slow
async def test_a_backing_service_that_is_down_turns_readiness_red_and_never_liveness(sample_service: Path) -> None:
    async with running(sample_service, APP_READY_CACHE_SECONDS="0") as service:
        (sample_service / "database-is-down").touch()
        response = await service.ask("/readyz")
        assert (response.status, response.json()["checks"]) == (503, {"database": "ConnectionError"})
        assert (await service.ask("/livez")).status == 200
        (sample_service / "database-is-down").unlink()
        assert (await service.ask("/readyz")).status == 200


@pytest.mark.slow
async def test_the_log_holds_our_lines_only(sample_service: Path) -> None:
    async with running(sample_service) as service:
        service.signal()
        await service.ended()
        assert [line["message"].split(" on ")[0] for line in service.lines()] == ["ready", "listening", "stopped"]
