"""Dependencies that tests override: in all that a service makes, and only there."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from starlette.testclient import TestClient
from starlette.types import ASGIApp

from chassis import Service, Settings
from clocks import Slower, clock, endpoints, leased, watch

SETTINGS = Settings(name="under-test")


@pytest.fixture(autouse=True)
def version(monkeypatch: pytest.MonkeyPatch) -> None:
    # In the template's folder pyproject.toml is no TOML yet.
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")


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
