"""The service: what a team hands over, put together."""

from __future__ import annotations

import contextlib
import logging
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib.metadata import PackageNotFoundError, version
from inspect import signature
from pathlib import Path

from fastapi import APIRouter
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .api_docs import serve_api_docs
from .edge import Edge
from .errors import handle
from .health import Check, Health, State
from .metrics import Metrics
from .openapi import Api
from .rate_limit import Key, client_address
from .security import StaticHeaders, headers
from .settings import Settings, load
from .stack import stack

log = logging.getLogger(__name__)

Resource = Callable[..., AbstractAsyncContextManager[object]]
"""Opens something for as long as the service runs, given its settings: a pool, a client.

One that has a parameter `registry` is also given the CollectorRegistry for metrics of its own.
"""


class Service:
    """A service, built in the team's composition root.

    :param package: the name of the team's package (``__package__``).
    :param settings: the team's settings class.
    :param routers: the team's endpoints.
    :param resources: opened in this order at start and closed in reverse; each is ``request.state.<name>``.
    :param checks: what must work for the service to be ready, by name.
    :param rate_limit_key: whom a request counts for, given its ASGI scope: by default its address; None for nobody.
    """

    def __init__(
        self,
        *,
        package: str,
        settings: type[Settings] = Settings,
        routers: Sequence[APIRouter] = (),
        resources: Mapping[str, Resource] | None = None,
        checks: Mapping[str, Check] | None = None,
        rate_limit_key: Key = client_address,
    ) -> None:
        self.package = package
        self.settings = settings
        self.routers = routers
        self.resources = dict(resources or {})
        self.rate_limit_key = rate_limit_key
        self.health = Health(checks=dict(checks or {}))
        self.metrics = Metrics()

    def app(self, settings: Settings | None = None) -> ASGIApp:
        """The ASGI application; reads the settings unless given some."""
        settings = settings or load(self.settings)
        api = Api(
            title=settings.title or settings.name,
            description=settings.description,
            version=service_version(settings.name),
            lifespan=lambda _: self._lifespan(settings),
            docs_url=None,
            redoc_url=None,
            openapi_url="/openapi.json" if settings.docs else None,
            # FastAPI traces by itself as soon as a library sets a global provider.
            telemetry={"tracing": False, "metrics": False},
        )
        handle(api)
        for router in self.routers:
            api.include_router(router)
        if settings.docs:
            serve_api_docs(api)
        return _Front(
            Edge(
                stack(api, settings, rate_limit_key=self.rate_limit_key),
                metrics=self.metrics,
                health=self.health,
                headers=StaticHeaders(headers(settings)),
            ),
            [
                Route("/livez", self.health.livez),
                Route("/startupz", self.health.startupz),
                Route("/readyz", self.health.readyz),
                Route("/metrics", self.metrics.endpoint),
            ],
        )

    def main(self) -> None:
        """Run the command line and exit."""
        from .cli import command_line

        command_line(self)(prog_name=f"python -m {self.package}")

    @contextlib.asynccontextmanager
    async def _lifespan(self, settings: Settings) -> AsyncIterator[dict[str, object]]:
        async with contextlib.AsyncExitStack() as exits:
            state: dict[str, object] = {"settings": settings}
            for name, resource in self.resources.items():
                state[name] = await exits.enter_async_context(self._opened(resource, settings))
            self.health.state = State.READY
            log.info("ready")
            yield state
            self.health.state = State.STOPPED
        log.info("stopped")

    def _opened(self, resource: Resource, settings: Settings) -> AbstractAsyncContextManager[object]:
        if "registry" in signature(resource).parameters:
            return resource(settings, registry=self.metrics.registry)
        return resource(settings)


class _Front:
    """Answers the probes and /metrics itself, outside all middleware; hands everything else on."""

    def __init__(self, app: ASGIApp, routes: Sequence[Route]) -> None:
        self._app = app
        self._routes = {route.path: route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        await (route.handle if route else self._app)(scope, receive, send)


def service_version(name: str) -> str:
    """The version of the installed distribution `name`, or the one in pyproject.toml beside the source."""
    try:
        return version(name)
    except PackageNotFoundError:
        pyproject = Path(__file__).parents[2] / "pyproject.toml"
        return str(tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["version"])


def refuse_foreign_chassis(package: str) -> None:
    """Exit unless this chassis lies beside the team's package.

    All services call theirs `chassis`: two of them in one environment would share whichever comes first.
    """
    team = sys.modules[package].__file__
    if team and Path(team).parents[1] != Path(__file__).parents[1]:
        sys.exit(
            f"{package} lies in {Path(team).parents[1]}, but the chassis it found in {Path(__file__).parents[1]}. "
            "Install one service in an environment; each brings its own chassis."
        )
