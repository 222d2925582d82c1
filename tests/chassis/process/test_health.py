import json
from typing import Any

import pytest
from starlette.requests import Request

from chassis.process.health import Health, State

REQUEST = Request({"type": "http", "headers": []})


async def fine(given: Any) -> None:
    pass


async def broken(given: Any) -> None:
    raise ConnectionError("postgresql://user:password@host is down")


def ready(**checks: Any) -> Health:
    health = Health(checks=checks)
    health.ready()
    return health


@pytest.mark.anyio
async def test_alive_whatever_the_state() -> None:
    health = Health(checks={"database": broken})
    assert (await health.livez(REQUEST)).status_code == 200
    health.stop()
    assert (await health.livez(REQUEST)).status_code == 200


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("moves", "started", "ready"),
    [([], 503, 503), (["ready"], 200, 200), (["ready", "drain"], 200, 503), (["drain", "ready"], 200, 503)],
)
async def test_the_state_decides(moves: list[str], started: int, ready: int) -> None:
    health = Health(checks={"database": fine})
    for move in moves:
        getattr(health, move)()
    assert (await health.startupz(REQUEST)).status_code == started
    assert (await health.readyz(REQUEST)).status_code == ready


@pytest.mark.anyio
async def test_not_ready_while_a_check_fails_and_no_secret_in_the_answer() -> None:
    response = await ready(database=broken, cache=fine).readyz(REQUEST)
    assert response.status_code == 503
    assert json.loads(bytes(response.body)) == {
        "status": "ready",
        "checks": {"database": "ConnectionError", "cache": "ok"},
    }


@pytest.mark.anyio
async def test_no_check_is_run_by_one_that_wants_no_traffic_anyway() -> None:
    health = ready(database=broken)
    health.drain()
    assert json.loads(bytes((await health.readyz(REQUEST)).body)) == {"status": "draining"}


def state_in_prometheus(health: Health) -> list[str]:
    states, _ = health.collect()
    assert {sample.labels["app_state"] for sample in states.samples} == {*State}
    return [sample.labels["app_state"] for sample in states.samples if sample.value]


def test_every_state_is_a_metric_and_a_second_life_begins_at_the_start() -> None:
    health = Health()
    states = [state_in_prometheus(health)]
    for move in (health.ready, health.drain, health.stop):
        move()
        states.append(state_in_prometheus(health))
    health.start({})
    assert states == [["starting"], ["ready"], ["draining"], ["stopped"]]
    assert state_in_prometheus(health) == ["starting"]


@pytest.mark.anyio
async def test_the_last_results_are_a_metric() -> None:
    health = ready(database=broken, cache=fine)
    await health.readyz(REQUEST)
    _, family = health.collect()
    assert {sample.labels["check"]: sample.value for sample in family.samples} == {"database": 0, "cache": 1}
