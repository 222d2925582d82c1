"""Tasks in a service that serves: sent in requests, done in the process."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import APIRouter
from starlette.testclient import TestClient

from chassis import Service
from chassis.part import Part
from chassis_tasks import NoStoreError, Sent, TaskInfo, Tasks
from chassis_tasks.memory_queue import MemoryQueue
from chassis_tasks.memory_store import MemoryStore
from patience import HANGS
from tasks.bench import at_work, opened, settings_of, until

Client = Callable[..., TestClient]


@pytest.fixture
def client(part: Tasks, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Start a service with these tasks and an endpoint for each."""
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> TestClient:
            parts: dict[str, Part] = {"tasks": part}
            service = Service(package="under_test", routers=[_router(part)], parts=parts)
            return stack.enter_context(TestClient(service.app(settings_of(**settings))))

        yield start


def _router(part: Tasks) -> APIRouter:
    router = APIRouter()

    @router.post("/send/{name}")
    async def send(name: str, arguments: dict[str, Any], key: str = "") -> Sent:
        return await part.known[name].using(key=key).enqueue(**arguments)

    @router.get("/tasks/{one}")
    async def find(one: str) -> TaskInfo | None:
        return await part.find(one)

    @router.get("/result/{one}")
    async def result(one: str) -> TaskInfo:
        return await part.wait(one, seconds=HANGS)

    return router


def test_from_the_request_to_the_result(part: Tasks, client: Client, caplog: pytest.LogCaptureFixture) -> None:
    @part.task
    async def greet(name: str) -> str:
        return f"Hello, {name}! This is {part.state.settings.name}."

    caplog.set_level(logging.INFO, "chassis_tasks")
    asked = client()
    sent = asked.post("/send/greet", json={"name": "Ada"}).json()
    assert sent["is_new"]
    info = asked.get(f"/result/{sent['id']}").json()
    assert (info["status"], info["result"]) == ("done", "Hello, Ada! This is under-test.")
    assert info == asked.get(f"/tasks/{sent['id']}").json()
    assert "lost with it when it is killed" in caplog.text
    assert "TaskInfo" in asked.get("/openapi.json").json()["components"]["schemas"]
    metrics = asked.get("/metrics").text
    for line in ('tasks_sent_total{task="greet"} 1.0', 'tasks_total{outcome="done",task="greet"} 1.0'):
        assert line in metrics


def test_one_key_one_task(part: Tasks, client: Client) -> None:
    @part.task
    async def wait() -> None:
        while not go_on:  # noqa: ASYNC110 - another thread says so
            await asyncio.sleep(0.01)

    go_on: list[bool] = []
    asked = client()
    first = asked.post("/send/wait?key=k", json={}).json()
    second = asked.post("/send/wait?key=k", json={}).json()
    assert second == {"id": first["id"], "is_new": False}
    assert asked.post("/send/wait?key=other", json={}).json()["is_new"]
    go_on.append(True)
    asked.get(f"/result/{first['id']}")
    assert _eventually(lambda: asked.post("/send/wait?key=k", json={}).json()["is_new"])


def _eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + HANGS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return True


@pytest.mark.parametrize("trouble", [ConnectionRefusedError("nobody listens"), TimeoutError(), None], ids=repr)
@pytest.mark.parametrize("broken", [(MemoryQueue, "put"), (MemoryStore, "add")], ids=["queue", "store"])
def test_what_cannot_be_handed_over_is_a_503(
    part: Tasks, client: Client, monkeypatch: pytest.MonkeyPatch, broken: tuple[Any, str], trouble: Exception | None
) -> None:
    @part.task
    async def work() -> None: ...

    async def fails(*given: object, **options: object) -> None:
        if trouble is None:
            await asyncio.sleep(60)  # a server that says nothing
        raise trouble or AssertionError

    asked = client(tasks_send_seconds=2)
    monkeypatch.setattr(*broken, fails)
    answer = asked.post("/send/work", json={})
    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.json()["title"] == "Work cannot be taken now"
    monkeypatch.undo()
    assert asked.post("/send/work?key=k", json={}).json()["is_new"]


def test_an_order_that_failed_holds_no_key(part: Tasks, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    @part.task
    async def work() -> None: ...

    async def fails(*given: object, **options: object) -> None:
        raise ConnectionError

    asked = client()
    with monkeypatch.context() as patch:
        patch.setattr(MemoryQueue, "put", fails)
        assert asked.post("/send/work?key=k", json={}).status_code == 503
    assert asked.post("/send/work?key=k", json={}).json()["is_new"]


def test_readiness_asks_the_broker(part: Tasks, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = client(ready_cache_seconds=0)
    assert asked.get("/readyz").json()["checks"] == {"broker": "ok", "tasks_store": "ok"}

    async def fails(*given: object, **options: object) -> None:
        raise ConnectionError

    monkeypatch.setattr(MemoryQueue, "ping", fails)
    answer = asked.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["broker"]) == (503, "ConnectionError")


@pytest.mark.anyio
async def test_outside_of_a_service_nothing_can_be_sent(part: Tasks) -> None:
    @part.task
    async def work() -> None: ...

    with pytest.raises(RuntimeError, match=r"tasks\.opened"):
        await work.enqueue()
    with pytest.raises(LookupError, match="Nothing is known"):
        async with at_work(part):
            await part.wait("1", seconds=1)


@pytest.mark.anyio
async def test_without_a_store_what_needs_one_is_refused(part: Tasks) -> None:
    runs = []

    @part.task(retries=1)
    async def work() -> None:
        runs.append(part.running.attempt)
        if len(runs) == 1:
            raise ValueError

    async with opened(part) as given:
        object.__setattr__(given, "store", None)  # as with amqp://
        async with part.at_work({"settings": given.settings, "tasks": given}):
            one = (await work.enqueue()).id

            async def ran() -> bool:
                return len(runs) == 2

            await until(ran)
            for call in (part.find, part.cancel):
                with pytest.raises(NoStoreError, match="APP_TASKS_STORE_URL"):
                    await call(one)
            with pytest.raises(NoStoreError, match="A key needs a store"):
                await work.using(key="k").enqueue()


@pytest.mark.anyio
async def test_two_services_one_after_the_other(part: Tasks) -> None:
    @part.task
    async def work() -> str:
        return str(part.state.settings.tasks_concurrency)

    for concurrency in (1, 2):
        async with at_work(part, tasks_concurrency=concurrency):
            info = await part.wait((await work.enqueue()).id, seconds=HANGS)
            assert info.result == str(concurrency)


def test_periodic_tasks_are_sent_in_the_process(part: Tasks, client: Client) -> None:
    beats = []

    @part.task(every=1)
    async def beat() -> None:
        beats.append(1)

    client()
    assert _eventually(lambda: bool(beats))
