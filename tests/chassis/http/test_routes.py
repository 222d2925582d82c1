"""What a test client would serve and the server never will is refused, in tests as at the start."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Host, Mount, Router, WebSocketRoute
from starlette.types import Receive, Scope, Send

from chassis import Service, Settings
from chassis.failures import StartError
from chassis.http.api import Api
from chassis.http.routes import UnservedError, refuse_unserved
from service_process import launched, make_service

Serve = Callable[..., TestClient]
SETTINGS = Settings(name="under-test")


async def chat(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


class Endpoint(WebSocketEndpoint):
    """One as a class."""


def decorated() -> APIRouter:
    router = APIRouter()
    router.websocket("/ws")(chat)
    return router


def added_as_starlettes() -> APIRouter:
    router = APIRouter()
    router.add_websocket_route("/ws", chat)
    return router


def an_object_in_the_list() -> APIRouter:
    return APIRouter(routes=[WebSocketRoute("/ws", chat)])


def with_a_prefix_beside_endpoints() -> APIRouter:
    router = APIRouter(prefix="/api")
    router.get("/fine")(lambda: "fine")
    router.websocket("/ws")(chat)
    return router


def in_a_router_in_a_router() -> APIRouter:
    middle, outer = APIRouter(prefix="/middle"), APIRouter(prefix="/outer")
    middle.include_router(decorated(), prefix="/inner")
    outer.include_router(middle)
    return outer


def in_a_router_that_is_filled_later() -> APIRouter:
    inner, outer = APIRouter(), APIRouter()
    outer.include_router(inner)
    inner.websocket("/ws")(chat)
    return outer


def mounted(application: Any) -> Callable[[], APIRouter]:
    def router() -> APIRouter:
        return APIRouter(routes=[Mount("/mounted", application)])

    return router


def of_a_host() -> APIRouter:
    return APIRouter(routes=[Host("chat.example", Router(routes=[WebSocketRoute("/ws", chat)]))])


def fastapi_with_one() -> FastAPI:
    app = FastAPI()
    app.include_router(decorated(), prefix="/inner")
    return app


STARLETTE = Starlette(routes=[Mount("/deep", routes=[WebSocketRoute("/ws", chat)])])
WAYS: dict[str, tuple[Callable[[], APIRouter], str]] = {
    "decorated": (decorated, "/ws (chat)"),
    "added as Starlette's": (added_as_starlettes, "/ws (chat)"),
    "an object in the list": (an_object_in_the_list, "/ws (chat)"),
    "with a prefix, beside endpoints": (with_a_prefix_beside_endpoints, "/api/ws (chat)"),
    "in a router in a router": (in_a_router_in_a_router, "/outer/middle/inner/ws (chat)"),
    "in a router that is filled later": (in_a_router_that_is_filled_later, "/ws (chat)"),
    "in a mounted FastAPI": (mounted(fastapi_with_one()), "/mounted/inner/ws (chat)"),
    "in a mounted Starlette": (mounted(STARLETTE), "/mounted/deep/ws (chat)"),
    "in middleware": (mounted(CORSMiddleware(STARLETTE)), "/mounted/deep/ws (chat)"),
    "a mounted class": (mounted(Endpoint), "/mounted (Endpoint)"),
    "of a host": (of_a_host, "/ws (chat)"),
}


@pytest.mark.parametrize(("router", "named"), WAYS.values(), ids=WAYS)
def test_a_websocket_is_refused_when_the_application_is_made(
    router: Callable[[], APIRouter], named: str, serve: Serve
) -> None:
    with pytest.raises(StartError) as refused:
        serve(router())
    assert str(refused.value) == (
        f"The WebSocket at {named} is never served. Send server-sent events (fastapi.sse.EventSourceResponse), or let "
        "clients poll. WebSockets come with a later version."
    )
    with pytest.raises(StartError):
        Service(package="under_test", routers=[router()], parts={}).api(SETTINGS)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")
    return Service(package="under_test", parts={})


def test_one_that_is_added_to_the_application_is_refused_at_its_start(service: Service) -> None:
    api = service.api(SETTINGS)
    api.websocket("/ws")(chat)
    with pytest.raises(StartError, match=r"The WebSocket at /ws \(chat\)"), TestClient(api):
        pass


def test_one_that_a_subclass_adds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")

    class Theirs(Service):
        def api(self, settings: Settings) -> Api:
            api = super().api(settings)
            api.mount("/mounted", STARLETTE)
            return api

    with pytest.raises(StartError, match="/mounted/deep/ws"):
        Theirs(package="under_test", parts={}).app(SETTINGS)


def test_one_that_is_added_by_a_resource_is_refused_at_the_start(serve: Serve) -> None:
    router, outer = APIRouter(), APIRouter()
    outer.include_router(router)

    @contextlib.asynccontextmanager
    async def adding(settings: Settings) -> AsyncIterator[None]:
        router.websocket("/ws")(chat)
        yield

    with pytest.raises(StartError, match="The WebSocket at /ws"):
        serve(outer, resources={"adding": adding})


async def opaque(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that nothing can be seen of."""
    await WebSocket(scope, receive, send).accept()


def test_what_cannot_be_seen_fails_in_the_test_that_opens_it(serve: Serve, service: Service) -> None:
    router = APIRouter(routes=[Mount("/opaque", opaque)])
    for client in (serve(router), TestClient(service.api(SETTINGS))):
        with (
            pytest.raises(UnservedError, match="The WebSocket at /opaque is never served"),
            client.websocket_connect("/opaque"),
        ):
            pass


@pytest.mark.parametrize("method", ["BREW", "X-Y", "PRI", "CONNECT", "G\xc9T", "DESCRIBE"])
def test_a_method_that_the_server_cannot_read_is_refused(method: str, serve: Serve) -> None:
    router = APIRouter(prefix="/api")
    router.api_route("/pot", methods=["GET", method.lower()])(lambda: "tea")
    with pytest.raises(StartError, match=f"{method} /api/pot is never served"):
        serve(router)


def test_all_that_is_served_is_let_be(serve: Serve) -> None:
    router = APIRouter()
    methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PURGE", "PROPFIND", "SEARCH", "QUERY"]
    router.api_route("/all", methods=methods)(lambda: "fine")
    router.mount("/mounted", Starlette(routes=[Mount("/deep", opaque)]))
    router.mount("/files", FastAPI())
    client = serve(router)
    refuse_unserved(router.routes)
    assert [client.request(method, "/all").json() for method in methods] == ["fine"] * len(methods)


MAIN = """
from chassis import Service
from fastapi import APIRouter, WebSocket
router = APIRouter(prefix="/api")

@router.websocket("/chat")
async def chat(websocket: WebSocket) -> None: ...

service = Service(package=__package__, routers=[router])
if __name__ == "__main__":
    service.main()
"""


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("processes", ["1", "2"])
async def test_a_service_with_one_does_not_start(processes: str, tmp_path: Path) -> None:
    async with launched(make_service(tmp_path / "chatty", MAIN), WEB_CONCURRENCY=processes) as process:
        assert await process.ended() == 2
        assert process.output() == (
            "Error: The WebSocket at /api/chat (chat) is never served. Send server-sent events "
            "(fastapi.sse.EventSourceResponse), or let clients poll. WebSockets come with a later version.\n"
        )
