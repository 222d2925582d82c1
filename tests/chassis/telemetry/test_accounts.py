import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from chassis import Service, Settings
from chassis.telemetry import access, context
from chassis.telemetry.access import Answered, Told
from chassis.telemetry.accounts import LATER, Accounts
from chassis.telemetry.metrics import Metrics

pytestmark = pytest.mark.anyio


def answered(path: str = "/items/1") -> Told:
    return context.new(None, None), 0.0, Answered("GET", path, "/items/{item}", 200, 1.0, 2, None)


def counted(metrics: Metrics) -> float:
    return sum(sample.value for family in metrics.requests.collect() for sample in family.samples)


@pytest.mark.usefixtures("virtual_time")
async def test_many_are_told_of_at_once_and_a_moment_later() -> None:
    told: list[list[str]] = []
    metrics = Metrics()

    def write(batch: Sequence[Told]) -> None:
        told.append([each.path for _, _, each in batch])

    accounts = Accounts(metrics=metrics, access_log=write)
    for number in range(3):
        accounts.add(answered(f"/items/{number}"))
    assert told == []
    await asyncio.sleep(LATER * 3)
    assert told == [["/items/0", "/items/1", "/items/2"]]
    assert counted(metrics) == 3
    accounts.add(answered("/items/3"))
    await asyncio.sleep(LATER * 3)
    assert told[1:] == [["/items/3"]]


@pytest.mark.usefixtures("virtual_time")
async def test_settling_tells_of_all_and_of_nothing_twice() -> None:
    metrics = Metrics()
    accounts = Accounts(metrics=metrics, access_log=access.nowhere)
    accounts.settle()
    accounts.add(answered())
    accounts.settle()
    assert counted(metrics) == 1
    await asyncio.sleep(LATER * 3)
    assert counted(metrics) == 1


def test_the_end_tells_of_what_is_left(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.telemetry.accounts.LATER", 3600)
    service = Service(package="under_test", parts={})
    with TestClient(service.app(Settings(name="under-test", access_log="off"))) as client:
        client.get("/openapi.json")
        assert counted(service.metrics) == 0
    assert counted(service.metrics) == 1


async def test_a_sampled_request_is_counted_once() -> None:
    metrics = Metrics()
    accounts = Accounts(metrics=metrics, access_log=access.nowhere)
    ids, when, what = answered()
    for sampled in (True, False, True):
        accounts.add((ids._replace(sampled=sampled), when, what))
    accounts.settle()
    assert counted(metrics) == 3


async def test_what_goes_through_logging_is_not_put_off(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    Accounts(metrics=Metrics(), access_log=access.through_logging).add(answered())
    assert [record.getMessage() for record in caplog.records] == ["GET /items/1 200"]
