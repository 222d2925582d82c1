"""Routers become the application's: as FastAPI includes them, and with dependencies that tests can override."""

import contextlib
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, cast

import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute, iter_route_contexts
from starlette.routing import Mount
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from chassis import Service, Settings
from chassis.errors import handle
from chassis.openapi import Api
from chassis.service import include

SETTINGS = Settings(name="under-test")


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> None:
    # In the template's folder pyproject.toml is no TOML yet.
    monkeypatch.setattr("chassis.service.service_version", lambda *_, **__: "1.2.3")


# Overrides


async def clock() -> str:
    return "real"


async def watch(clock: Annotated[str, Depends(clock)]) -> str:
    return f"watch of {clock}"


class Machine:
    """A dependency that is a class, and asks for another."""

    def __init__(self, clock: Annotated[str, Depends(clock)]) -> None:
        self.says = f"machine of {clock}"


async def stamped(response: Response, clock: Annotated[str, Depends(clock)]) -> None:
    response.headers["x-clock"] = clock


async def leased() -> AsyncIterator[str]:
    yield "real lease"


class Slower(APIRoute):
    """A route class of a team's."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        handler = super().get_route_handler()

        async def slower(request: Request) -> Any:
            response = await handler(request)
            response.headers["x-slower"] = "yes"
            return response

        return slower


def endpoints(**options: Any) -> APIRouter:
    router = APIRouter(dependencies=[Depends(stamped)], **options)

    @router.get("/clock")
    async def direct(clock: Annotated[str, Depends(clock)]) -> str:
        return clock

    @router.get("/watch")
    async def sub(watch: Annotated[str, Depends(watch)]) -> str:
        return watch

    @router.get("/machine")
    async def of_a_class(machine: Annotated[Machine, Depends()]) -> str:
        return machine.says

    @router.get("/lease")
    async def of_a_generator(lease: Annotated[str, Depends(leased)]) -> str:
        return lease

    @router.get("/request")
    def of_a_request(request: Request) -> str:
        return request.url.path

    return router


def nested() -> APIRouter:
    outer = APIRouter()
    outer.include_router(endpoints())
    return outer


def with_a_lifespan() -> APIRouter:
    @contextlib.asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield

    return endpoints(lifespan=life)


ROUTERS: dict[str, tuple[Callable[[], APIRouter], str]] = {
    "plain": (endpoints, ""),
    "with a prefix": (lambda: endpoints(prefix="/api"), "/api"),
    "of another route class": (lambda: endpoints(route_class=Slower), ""),
    "nested": (nested, ""),
    "with a lifespan": (with_a_lifespan, ""),
    "with a body limit": (lambda: endpoints(max_body_size=10), ""),
}
REAL = {"clock": "real", "watch": "watch of real", "machine": "machine of real", "lease": "real lease"}
FAKE = {"clock": "fake", "watch": "watch of fake", "machine": "machine of fake", "lease": "fake lease"}


async def fake_clock() -> str:
    return "fake"


def fake_lease() -> Iterator[str]:
    yield "fake lease"


def answers(client: TestClient, prefix: str) -> dict[str, str]:
    found = {path: client.get(f"{prefix}/{path}") for path in REAL}
    assert len({response.headers["x-clock"] for response in found.values()}) == 1
    assert next(iter(found.values())).headers["x-clock"] == found["clock"].json()
    return {path: response.json() for path, response in found.items()}


@pytest.mark.parametrize(("router", "prefix"), ROUTERS.values(), ids=ROUTERS)
@pytest.mark.parametrize("made_by", ["app", "api"])
def test_dependencies_are_overridden_before_and_after_the_application_is_made(
    router: Callable[[], APIRouter], prefix: str, made_by: str
) -> None:
    service = Service(package="under_test", routers=[router()], parts={})
    make: Callable[[], ASGIApp] = lambda: getattr(service, made_by)(SETTINGS)  # noqa: E731
    with TestClient(make()) as client:
        assert answers(client, prefix) == REAL
        service.dependency_overrides |= {clock: fake_clock, leased: fake_lease}
        assert answers(client, prefix) == FAKE
    with TestClient(make()) as client:
        assert answers(client, prefix) == FAKE
        service.dependency_overrides.clear()
        assert answers(client, prefix) == REAL


@pytest.mark.parametrize(("router", "prefix"), ROUTERS.values(), ids=ROUTERS)
def test_dependencies_are_overridden_by_the_applications_own_attribute(
    router: Callable[[], APIRouter], prefix: str
) -> None:
    service = Service(package="under_test", routers=[router()], parts={})
    api = service.api(SETTINGS)
    api.dependency_overrides[clock] = fake_clock
    api.dependency_overrides[leased] = fake_lease
    with TestClient(api) as client:
        assert answers(client, prefix) == FAKE
    app: Any = service.app(SETTINGS)
    with TestClient(app) as client:
        assert answers(client, prefix) == FAKE
        app.dependency_overrides.clear()
        assert answers(client, prefix) == REAL


@pytest.mark.parametrize("of", ["service", "app"])
def test_a_new_table_takes_the_place_of_the_old(of: str) -> None:
    """FastAPI's documentation resets it so."""
    service = Service(package="under_test", routers=[endpoints()], parts={})
    app: Any = service.app(SETTINGS)
    owner = {"service": service, "app": app}[of]
    with TestClient(app) as client:
        owner.dependency_overrides = {clock: fake_clock}
        assert client.get("/clock").json() == "fake"
        owner.dependency_overrides = {**owner.dependency_overrides, leased: fake_lease}
        assert (client.get("/clock").json(), client.get("/lease").json()) == ("fake", "fake lease")
        owner.dependency_overrides = {}
        assert client.get("/clock").json() == "real"


def test_an_override_may_ask_for_dependencies_of_its_own() -> None:
    service = Service(package="under_test", routers=[endpoints()], parts={})

    async def told(clock: Annotated[str, Depends(watch)], q: str = "nothing") -> str:
        return f"told {q}"

    service.dependency_overrides[watch] = lambda q="nothing": q
    service.dependency_overrides[clock] = told
    with TestClient(service.app(SETTINGS)) as client:
        assert client.get("/clock?q=this").json() == "told this"


def test_the_overrides_of_one_service_are_no_others() -> None:
    router = endpoints()
    one, other = (Service(package="under_test", routers=[router], parts={}) for _ in range(2))
    one.dependency_overrides[clock] = fake_clock
    with TestClient(one.app(SETTINGS)) as first, TestClient(other.app(SETTINGS)) as second:
        assert [client.get("/clock").json() for client in (first, second)] == ["fake", "real"]


# As FastAPI includes it


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


JSON = {"content-type": "application/json"}
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("GET", {}),
    ("PUT", {"content": b'{"a": 1}', "headers": JSON}),
    ("POST", {"content": b'{"a": 1}'}),
    ("POST", {"content": b'{"a": 1, "b": 2, "c": 3, "d": 4}', "headers": JSON}),
    ("DELETE", {}),
]


def requested(api: Api) -> list[tuple[Any, ...]]:
    """What comes of requests to all paths, of each kind that one of the options above decides about."""
    client, found = TestClient(api, follow_redirects=False, raise_server_exceptions=False), []
    templates = {route.path.partition("/{path")[0] for route in iter_route_contexts(api.routes) if route.path}
    paths = {template.replace("{outer}", "1").replace("{inner}", "2") for template in templates}
    for path in sorted({*paths, *(f"{path}/" for path in paths), "/a/pages/page.html", "/pages/page.html"}):
        for method, more in ASKED:
            response = client.request(method, path, **more)
            headers = sorted((name, value) for name, value in response.headers.items() if name != "last-modified")
            found.append((method, path, response.status_code, headers, response.content))
    return found


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.filterwarnings("ignore:Duplicate Operation ID")
def test_it_is_as_if_fastapi_had_included_it(seed: int, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("a page", encoding="utf-8")
    ours = with_routers(include, seed, tmp_path)
    theirs = with_routers(lambda api, router: api.include_router(router), seed, tmp_path)
    assert ours.openapi() == theirs.openapi()
    assert _named(ours) == _named(theirs)
    assert requested(ours) == requested(theirs)


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
