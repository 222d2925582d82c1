"""Routers become the application's, as FastAPI includes them, whatever of FastAPI's inside is there."""

import contextlib
import random
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount
from starlette.testclient import TestClient

from asgi import call, scope
from chassis import Service, Settings
from chassis.http import fastapi_inside
from chassis.http.api import Api
from chassis.http.errors import handle
from chassis.http.fastapi_inside import include, route_found
from clocks import Slower, endpoints, stamped

SETTINGS = Settings(name="under-test")


def own_id(route: APIRoute) -> str:
    return f"own-{route.name}-{min(route.methods or ())}"


def unlucky() -> None:
    raise AssertionError("never called")


callbacks = APIRouter()
callbacks.post("{$callback_url}/done", name="done")(unlucky)
ROUTER_OPTIONS: dict[str, list[Any]] = {
    "prefix": ["/a", "/a/{outer}"],
    "tags": [["one"], ["one", "two"]],
    "dependencies": [[Depends(stamped)]],
    "responses": [{418: {"description": "A teapot."}}, {"4XX": {"description": "Ours."}}],
    "deprecated": [True],
    "include_in_schema": [False],
    "default_response_class": [PlainTextResponse],
    "callbacks": [callbacks.routes],
    "generate_unique_id_function": [own_id],
    "route_class": [Slower],
    "strict_content_type": [False],
    "redirect_slashes": [False],
    "max_body_size": [0, 30],
    "form_limits": [{"max_fields": 1}],
}
ROUTE_OPTIONS: dict[str, list[Any]] = {
    "status_code": [201, 204],
    "tags": [["three"]],
    "dependencies": [[Depends(stamped)]],
    "summary": ["In short."],
    "description": ["At length."],
    "response_description": ["What comes."],
    "responses": [{418: {"description": "Another teapot."}}],
    "deprecated": [True],
    "operation_id": ["operated"],
    "response_model_exclude_none": [True],
    "include_in_schema": [False],
    "response_class": [PlainTextResponse],
    "name": ["named"],
    "callbacks": [callbacks.routes],
    "openapi_extra": [{"x-extra": 1}],
    "generate_unique_id_function": [own_id],
    "strict_content_type": [False],
    "max_body_size": [5],
    "form_limits": [{"max_fields": 2}],
}


async def read(request: Request) -> Any:
    return None if request.query_params else "read"


async def write(body: dict[str, int]) -> Any:
    return str(body)


async def limits(request: Request) -> Any:
    """The limits of forms; what reads forms is not installed."""
    return str(request.scope.get("fastapi", {}).get("form_limits") or {})


ENDPOINTS: list[tuple[str, str, Callable[..., Any]]] = [
    ("/r", "GET", read),
    ("/r", "PUT", write),
    ("/w/{inner}", "POST", write),
    ("/f", "POST", limits),
    ("/s/", "GET", read),
]


def options(draw: random.Random, known: dict[str, list[Any]]) -> dict[str, Any]:
    chosen = draw.sample(sorted(known), k=draw.choice([0, 1, 2, 4]))
    return {name: draw.choice(known[name]) for name in chosen}


def drawn(draw: random.Random, folder: Path, depth: int = 0) -> APIRouter:
    """A router with whatever a router can have."""
    chosen = options(draw, ROUTER_OPTIONS)
    if depth:
        chosen.pop("prefix", None)
    router = APIRouter(**chosen)
    for path, method, endpoint in draw.sample(ENDPOINTS, k=draw.randint(1, 5)):
        chosen = options(draw, ROUTE_OPTIONS)
        if chosen.get("status_code") == 204:
            chosen["response_model"] = None
        router.add_api_route(path, endpoint, methods=[method], **chosen)
    if depth < 2 and draw.random() < 0.2:
        router.include_router(drawn(draw, folder, depth + 1), prefix="/nested")
    if draw.random() < 0.15:
        router.add_route("/plain", cast("Any", lambda request: PlainTextResponse("plain")))
    if draw.random() < 0.15:
        router.routes.append(Mount("/mounted", PlainTextResponse("mounted")))
    if draw.random() < 0.15:
        router.frontend("/pages", directory=folder)
    return router


def with_routers(add: Callable[[FastAPI, APIRouter], None], seed: int, folder: Path) -> Api:
    draw = random.Random(seed)  # noqa: S311
    api = Api(telemetry={"tracing": False, "metrics": False, "logs": False})
    handle(api)
    for _ in range(draw.randint(1, 3)):
        add(api, drawn(draw, folder))
    return api


HOST, JSON = (b"host", b"testserver"), (b"content-type", b"application/json")
ASKED = [
    ("GET", [HOST], b""),
    ("PUT", [HOST, JSON], b'{"a": 1}'),
    ("POST", [HOST], b'{"a": 1}'),
    ("POST", [HOST, JSON], b'{"a": 1, "b": 2, "c": 3, "d": 4}'),
    ("DELETE", [HOST], b""),
]


async def requested(api: Api) -> list[tuple[Any, ...]]:
    """What comes of requests to all paths, of each kind that one of the options above decides about."""

    async def answering(*request: Any) -> None:
        with contextlib.suppress(Exception):  # it comes after an answer with 500
            await api(*request)

    found: list[tuple[Any, ...]] = []
    templates = {route.path.partition("/{path")[0] for route in iter_route_contexts(api.routes) if route.path}
    paths = {template.replace("{outer}", "1").replace("{inner}", "2") for template in templates}
    for path in sorted({*paths, *(f"{path}/" for path in paths), "/a/pages/page.html", "/pages/page.html"}):
        for method, headers, body in ASKED:
            sized = [*headers, (b"content-length", str(len(body)).encode())]
            start, *rest = await call(answering, scope(path, method=method, headers=sized), [body])
            named = sorted((name, value) for name, value in start["headers"] if name != b"last-modified")
            found.append((method, path, start["status"], named, b"".join(piece.get("body", b"") for piece in rest)))
    return found


@pytest.mark.anyio
@pytest.mark.parametrize("seed", range(40))
@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")
async def test_it_is_as_if_fastapi_had_included_it(seed: int, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("a page", encoding="utf-8")
    ours = with_routers(include, seed, tmp_path)
    theirs = with_routers(lambda api, router: api.include_router(router), seed, tmp_path)
    assert ours.openapi() == theirs.openapi()
    assert _named(ours) == _named(theirs)
    assert await requested(ours) == await requested(theirs)


def _named(api: Api) -> list[tuple[str | None, str | None, list[str]]]:
    return [(route.path, route.name, sorted(route.methods or ())) for route in iter_route_contexts(api.routes)]


def test_a_plain_router_is_not_included() -> None:
    """Each request would look for its route twice."""
    api = Api()
    include(api, endpoints())
    include(api, endpoints(prefix="/b", tags=["b"], route_class=Slower))
    added = [type(route) for route in api.routes if isinstance(route, APIRoute)]
    assert (added.count(APIRoute), added.count(Slower)) == (5, 5)


def test_limits_of_forms_are_kept() -> None:
    api, router = Api(), APIRouter(form_limits={"max_fields": 1})
    router.post("/f")(limits)
    include(api, router)
    assert TestClient(api).post("/f").json() == "{'max_fields': 1}"


def test_a_route_without_a_path_is_refused_in_fastapis_words() -> None:
    router = APIRouter()
    router.get("")(read)
    with pytest.raises(Exception, match="Prefix and path cannot be both empty"):
        include(Api(), router)


def test_a_router_that_chooses_among_its_routes_itself_is_included() -> None:
    class Choosy(APIRouter):
        def matches(self, scope: Any) -> Any:
            match, child = super().matches(scope)
            return match, child

    api, router = Api(), Choosy()
    router.get("/r")(read)
    include(api, router)
    assert not [route for route in api.routes if isinstance(route, APIRoute)]
    assert TestClient(api).get("/r").json() == "read"


def test_what_a_router_does_at_the_start_and_the_end_is_done_once() -> None:
    done: list[str] = []
    router = APIRouter(on_startup=[lambda: done.append("starts")], on_shutdown=[lambda: done.append("ends")])
    with TestClient(Service(package="under_test", routers=[router], parts={}).app(SETTINGS)):
        assert done == ["starts"]
    assert done == ["starts", "ends"]


# What is inside

SEEN_IN = "0.165.0"
"""The version of FastAPI that all this was seen to hold for. Before you write another, see that each fast way is still
one: `make bench NAME=service`."""


def test_it_holds_for_the_version_that_services_are_pinned_to() -> None:
    assert version("fastapi") == SEEN_IN
    assert fastapi_inside.CONTEXT == "effective_route_context"
    layers = [type(layer).__name__ for layer in _layers(FastAPI().build_middleware_stack())]
    assert set(layers[:3]) == fastapi_inside.SUPERFLUOUS


def _layers(outermost: Any) -> Iterator[Any]:
    while hasattr(outermost, "app"):
        yield outermost
        outermost = outermost.app


GONE: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "the router's list of pages": lambda patch: _hide(patch, APIRouter, "_low_priority_routes"),
    "the router's limits of forms": lambda patch: _hide(patch, APIRouter, "form_limits"),
    "the route's limit of bodies": lambda patch: _hide(patch, APIRoute, "max_body_size"),
    "the route's provider of overrides": lambda patch: _hide(patch, APIRoute, "dependency_overrides_provider"),
    "the function that makes an application of a handler": lambda patch: patch.setattr(
        fastapi_inside, "routing", SimpleNamespace()
    ),
}


def _hide(patch: pytest.MonkeyPatch, owner: type, name: str) -> None:
    """Have `include` not find an attribute that FastAPI itself goes on using."""

    def seen(it: Any, key: str, *default: Any) -> Any:
        return getattr(None if isinstance(it, owner) and key == name else it, key, *default)

    patch.setattr(fastapi_inside, "getattr", seen, raising=False)
    patch.setattr(fastapi_inside, "hasattr", lambda it, key: seen(it, key, seen) is not seen, raising=False)


@pytest.mark.parametrize("gone", GONE)
def test_a_router_is_included_by_fastapi_where_something_is_gone(gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    GONE[gone](monkeypatch)
    api = Api()
    include(api, endpoints())
    assert not any(isinstance(route, APIRoute) for route in api.routes)
    assert TestClient(api).get("/clock").json() == "real"


def test_a_layer_with_another_name_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastapi_inside, "SUPERFLUOUS", frozenset({"ServerErrorMiddleware"}))
    api = Api()
    include(api, endpoints())
    assert type(api.build_middleware_stack()).__name__ == "ExceptionTelemetryMiddleware"
    assert TestClient(api).get("/clock").json() == "real"


def twice() -> APIRouter:
    outer, inner = APIRouter(prefix="/api", form_limits={"max_fields": 1}), endpoints()
    for prefix in ("/one", "/other/{number}"):
        outer.include_router(inner, prefix=prefix)
    return outer


@pytest.mark.parametrize("context", ["effective_route_context", None])
@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/api/one/clock", "/api/one/clock"),
        ("/api/other/2/watch", "/api/other/{number}/watch"),
        ("/clock", "/clock"),
        ("/mounted/in", "/in"),
        ("/nothing", None),
    ],
)
def test_the_route_is_found_with_its_prefix(
    context: str | None, path: str, template: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fastapi_inside, "CONTEXT", context)
    api, inner, found = Api(), Api(), []
    for router in (twice(), endpoints()):
        include(api, router)
    inner.add_api_route("/in", lambda: "inside")
    api.mount("/mounted", inner)

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        await api(scope, receive, send)
        found.append(getattr(route_found(scope), "path_format", None))

    TestClient(watched).get(path)
    assert found == [template]
