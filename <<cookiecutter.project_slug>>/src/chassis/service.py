"""The service: what a team hands over, put together."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .api_docs import serve_api_docs
from .edge import Edge
from .health import Check, Health, State
from .metrics import Metrics
from .settings import Settings, load
from .versions import service_version

if TYPE_CHECKING:
    import click

log = logging.getLogger(__name__)

Resource = Callable[[Any], AbstractAsyncContextManager[object]]
"""Opens something for as long as the service runs, given its settings: a pool, a client."""


class Service:
    """A service, built in the team's composition root.

    :param package: the name of the team's package (``__package__``).
    :param settings: the team's settings class.
    :param routers: the team's endpoints.
    :param resources: opened in this order at start and closed in reverse; each is ``request.state.<name>``.
    :param checks: what must work for the service to be ready, by name.
    :param commands: the team's one-off commands, run with the settings and the logging of the service: click's, with
        the settings by ``@click.pass_obj``; the function may be asynchronous.
    """

    def __init__(
        self,
        *,
        package: str,
        settings: type[Settings] = Settings,
        routers: Sequence[APIRouter] = (),
        resources: Mapping[str, Resource] | None = None,
        checks: Mapping[str, Check] | None = None,
        commands: Sequence[click.Command] = (),
    ) -> None:
        self.package = package
        self.settings = settings
        self.routers = routers
        self.commands = commands
        self.resources = dict(resources or {})
        self.health = Health(checks=dict(checks or {}))
        self.metrics = Metrics()

    def app(self, settings: Settings | None = None) -> ASGIApp:
        """The ASGI application; reads the settings unless given some."""
        settings = settings or load(self.settings)
        return _Front(Edge(self.api(settings), metrics=self.metrics, health=self.health), self.probes())

    def api(self, settings: Settings) -> FastAPI:
        """The FastAPI application inside, without the probes and the edge."""
        api = FastAPI(
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
        for router in self.routers:
            api.include_router(router)
        if settings.docs:
            serve_api_docs(api)
        return api

    def probes(self) -> list[Route]:
        """What is answered outside all middleware."""
        return [
            Route("/livez", self.health.livez),
            Route("/startupz", self.health.startupz),
            Route("/readyz", self.health.readyz),
            Route("/metrics", self.metrics.endpoint),
        ]

    def main(self) -> None:
        """Run the command line and exit."""
        from .cli import main

        sys.exit(main(self))

    @contextlib.asynccontextmanager
    async def _lifespan(self, settings: Settings) -> AsyncIterator[dict[str, object]]:
        async with contextlib.AsyncExitStack() as stack:
            state: dict[str, object] = {"settings": settings}
            for name, resource in self.resources.items():
                state[name] = await stack.enter_async_context(resource(settings))
            self.health.state = State.READY
            log.info("ready")
            yield state
            self.health.state = State.STOPPED
        log.info("stopped")


class _Front:
    """Answers the probes and /metrics itself, outside all middleware; hands everything else on."""

    def __init__(self, app: ASGIApp, routes: Sequence[Route]) -> None:
        self._app = app
        self._routes = {route.path: route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get(scope["path"]) if scope["type"] == "http" else None
        await (route.handle if route else self._app)(scope, receive, send)


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
