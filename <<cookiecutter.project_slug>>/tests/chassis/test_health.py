import asyncio
import json

import pytest
from starlette.requests import Request

from chassis.health import Health, State

REQUEST = Request({"type": "http", "headers": []})


async def fine() -> None:
    pass


async def broken() -> None:
    raise ConnectionError("postgresql://user:password@host is down")


async def hanging() -> None:
    await asyncio.sleep(60)


@pytest.mark.anyio
async def test_alive_whatever_the_state() -> None:
    health = Health(checks={"database": broken})
    assert (await health.livez(REQUEST)).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("state", "started", "ready"), [("starting", 503, 503), ("ready", 200, 200), ("draining", 200, 503)]
)
async def test_the_state_decides(state: str, started: int, ready: int) -> None:
    health = Health(checks={"database": fine})
    health.state = State(state)
    assert (await health.startupz(REQUEST)).status_code == started
    assert (await health.readyz(REQUEST)).status_code == ready


@pytest.mark.anyio
async def test_not_ready_while_a_check_fails_and_no_secret_in_the_answer() -> None:
    health = Health(checks={"database": broken, "queue": hanging, "cache": fine}, timeout=0.05)
    health.state = State.READY
    response = await health.readyz(REQUEST)
    assert response.status_code == 503
    assert json.loads(bytes(response.body)) == {
        "status": "ready",
        "checks": {"database": "ConnectionError", "queue": "no answer in 0.05 s", "cache": "ok"},
    }
