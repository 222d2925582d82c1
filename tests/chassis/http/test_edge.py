import asyncio
import gc
import json
import re
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Message

from asgi import call, header, scope
from chassis.telemetry import context

Serve = Callable[..., TestClient]
pytestmark = pytest.mark.anyio
router = APIRouter(prefix="/api")
mounted = FastAPI()


@router.get("/items/{item}")
async def item(item: int) -> str | None:
    return context.request_id()


@router.get("/bug")
async def bug() -> None:
    raise ValueError("a secret")


@router.post("/body")
async def body(request: Request) -> int:
    return len(await request.body())


@mounted.get("/things/{thing}")
async def thing(thing: str) -> str:
    return thing


root = APIRouter()
root.mount("/mounted", mounted)


@pytest.fixture
def client(serve: Serve) -> TestClient:
    return serve(router, root)


@pytest.fixture
def app(client: TestClient) -> ASGIApp:
    return client.app


def counted(client: TestClient) -> set[tuple[str, ...]]:
    return set(re.findall(r'http_requests_total\{method="(.*?)",route="(.*?)",status="(.*?)"\}', _metrics(client)))


def _metrics(client: TestClient) -> str:
    return client.get("/metrics").text


async def test_a_well_formed_request_id_is_kept_sent_back_and_bound(app: ASGIApp) -> None:
    messages = await call(app, scope("/api/items/1", headers=[(b"x-request-id", b"mine-1")]))
    assert header(messages, b"x-request-id") == b"mine-1"
    assert json.loads(messages[1]["body"]) == "mine-1"
    assert context.current.get() is None


@pytest.mark.parametrize("sent", [b"", b"a b", b"\xff", b"x" * 129, b'"'])
async def test_any_other_is_replaced(app: ASGIApp, sent: bytes) -> None:
    messages = await call(app, scope("/api/items/1", headers=[(b"x-request-id", sent)]))
    assert re.fullmatch(rb"[0-9a-f]{32}", header(messages, b"x-request-id") or b"")


async def test_every_answer_bears_one_id_and_each_its_own(app: ASGIApp) -> None:
    ids = []
    for path in ("/api/items/1", "/api/items/x", "/nothing", "/api/bug", "/docs"):
        messages = await call(app, scope(path))
        assert [name for name, _ in messages[0]["headers"]].count(b"x-request-id") == 1
        ids.append(header(messages, b"x-request-id"))
    assert len(set(ids)) == len(ids)


async def test_what_a_request_leaves_needs_no_collector(app: ASGIApp) -> None:
    class Server:
        """Holds the scope, as uvicorn's does."""

        def __init__(self) -> None:
            self.scope = scope("/api/items/1")

        async def receive(self) -> Message:
            return {"type": "http.request"}

        async def send(self, message: Message) -> None:
            """Nobody is there."""

    await call(app, scope("/api/items/1"))
    server = Server()
    gone = weakref.ref(server)
    gc.disable()
    try:
        await app(server.scope, server.receive, server.send)
        del server
        assert gone() is None
    finally:
        gc.enable()


async def test_a_failure_is_answered_logged_once_and_bears_the_id(
    app: ASGIApp, client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    messages = await call(app, scope("/api/bug", headers=[(b"x-request-id", b"mine")]))
    assert messages[0]["status"] == 500
    assert json.loads(messages[1]["body"])["request_id"] == "mine"
    assert b"a secret" not in messages[1]["body"]
    (record,) = (record for record in caplog.records if record.exc_info)
    assert str(record.exc_info and record.exc_info[1]) == "a secret"
    assert ("GET", "/api/bug", "500") in counted(client)


async def test_a_client_that_leaves_is_499(app: ASGIApp, client: TestClient) -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        """Nobody is there."""

    await app(scope("/api/body", method="POST"), receive, send)
    assert ("POST", "/api/body", "499") in counted(client)


async def test_a_request_that_is_cancelled_leaves_nothing_in_flight(app: ASGIApp, client: TestClient) -> None:
    async def forever() -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""

    request = asyncio.create_task(call(app, scope("/api/body", method="POST"), forever()))
    await asyncio.sleep(0.05)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    assert "http_requests_in_flight 0.0" in _metrics(client)
    assert ("POST", "/api/body", "499") in counted(client)


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/items/1", "/api/items/{item}"),
        ("/mounted/things/1", "/mounted/things/{thing}"),
        ("/mounted/nothing/1", "/mounted"),
        ("/docs", "/docs"),
        ("/openapi.json", "/openapi.json"),
        ("/nothing/1", "unmatched"),
    ],
)
@pytest.mark.parametrize("root_path", ["", "/prefix"])
async def test_a_route_is_counted_by_its_template(
    app: ASGIApp, client: TestClient, path: str, route: str, root_path: str
) -> None:
    await call(app, scope(root_path + path, root_path=root_path))
    assert {found for _, found, _ in counted(client)} == {route}


async def test_the_allow_header_lists_all_methods_of_a_path(serve: Serve) -> None:
    several = APIRouter(prefix="/several")
    for method in ("GET", "PUT", "DELETE"):
        several.add_api_route("/{name}", item_of_any, methods=[method], operation_id=method)
    messages = await call(serve(several).app, scope("/several/1", method="POST"))
    assert messages[0]["status"] == 405
    assert header(messages, b"allow") == b"DELETE, GET, PUT"


async def item_of_any(name: str) -> Any:
    return name
