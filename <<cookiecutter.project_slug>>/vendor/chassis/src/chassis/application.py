"""The application: what a team hands over, put together."""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import cached_property, partial
from inspect import signature
from typing import TYPE_CHECKING, Any

import click
from fastapi import APIRouter
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from .failures import StartError
from .http.api import Api
from .http.api_docs import serve_api_docs
from .http.edge import Edge
from .http.errors import handle
from .http.fastapi_inside import include
from .http.front import Front, Overridable
from .http.rate_limit import Key, client_address
from .http.routes import refuse_unserved
from .http.security import StaticHeaders, headers
from .http.stack import stack
from .part import Check, Part, Resource
from .parts import found, with_settings_of
from .process.health import Health
from .process.lifecycle import Background, opened
from .settings import Settings, load
from .settings.types import secret_values
from .telemetry import access, logs, tracing
from .telemetry.accounts import Accounts
from .telemetry.loop_lag import lag_observed
from .telemetry.metrics import Metrics
from .versions import chassis_version, service_version

if TYPE_CHECKING:
    from .telemetry.spans import Tracing

log = logging.getLogger("chassis.service")

RESERVED = {"settings", "background"}


class Application(Overridable):
    """A service, put together. What is handed over to make one is told in `Service`."""

    def __init__(
        self,
        *,
        package: str,
        settings: type[Settings] = Settings,
        routers: Sequence[APIRouter] = (),
        resources: Mapping[str, Resource] | None = None,
        checks: Mapping[str, Check] | None = None,
        collectors: Iterable[Collector] = (),
        rate_limit_key: Key = client_address,
        commands: Sequence[click.Command] = (),
        parts: Mapping[str, Part] | None = None,
    ) -> None:
        self.package = package
        self._own_settings = settings
        self._given_parts = parts
        self.routers = routers
        self.rate_limit_key = rate_limit_key
        self.commands = commands
        self.resources = dict(resources or {})
        if taken := RESERVED & self.resources.keys():
            raise ValueError(f"A resource cannot be called {taken.pop()!r}: the chassis uses that name itself.")
        self.metrics = Metrics(collectors=collectors)
        super().__init__({})
        self.health = Health(checks=checks)
        self.metrics.of_process.register(self.health)
        self.tracing: Tracing | None = None

    @cached_property
    def parts(self) -> Mapping[str, Part]:
        """The optional parts by name, in the order in which they open. Raises StartError if one is missing."""
        parts = found(self.package) if self._given_parts is None else self._given_parts
        for part in parts.values():
            part.join(parts)
            if taken := part.resources().keys() & self.resources.keys():
                raise StartError(f"A resource cannot be called {taken.pop()!r}: a part of the service is called so.")
            self.health.checks.add(part.checks())
            for collector in part.collectors():
                self.metrics.of_process.register(collector)
        return parts

    @cached_property
    def settings(self) -> type[Settings]:
        """The team's settings class, with the settings of the parts."""
        return with_settings_of([part.settings for part in self.parts.values()], self._own_settings)

    def app(self, settings: Settings | None = None) -> ASGIApp:
        """The ASGI application; reads the settings unless given some."""
        settings = settings or self.load()
        release = self._prepare(settings)
        accounts = Accounts(metrics=self.metrics, access_log=access.writer(settings, version=release))
        self.metrics.settle = accounts.settle
        api = self.api(settings)
        refuse_unserved(api.routes)  # of a team that adds some to what `api` gives
        app = stack(api, settings, rate_limit_key=self.rate_limit_key)
        edge = Edge(
            app,
            metrics=self.metrics,
            headers=StaticHeaders(headers(settings)),
            accounts=accounts,
            tracing=self.tracing,
        )
        return Front(app, edge, self.routes(settings), overrides=self.dependency_overrides)

    def backstage(self, settings: Settings) -> ASGIApp:
        """The ASGI application of a process that serves nobody: the service's life, its probes and /metrics."""
        self._prepare(settings)
        app = Starlette(lifespan=lambda app: self._lifespan(settings, app))
        return Front(app, app, [*self._probes(), *self._admin_routes()], overrides=self.dependency_overrides)

    def _prepare(self, settings: Settings) -> str:
        # Returns the service's version.
        self.health.checks.timeout, self.health.checks.fresh_for = settings.check_seconds, settings.ready_cache_seconds
        release = self.release(settings)
        self.metrics.info.info(
            {"version": release, "commit": settings.commit or "unknown", "chassis_version": chassis_version()}
        )
        self.tracing = tracing.configured(service=settings.name, version=release, environment=settings.environment)
        return release

    def release(self, settings: Settings) -> str:
        """The service's version, or `unknown`."""
        return service_version(settings.name, package=self.package)

    def load(self) -> Settings:
        """Read the settings of this process. Raises SettingsError."""
        return load(self.settings)

    def configure_logging(self, settings: Settings) -> None:
        """Send what is logged in this process to stdout. Raises LogConfigError."""
        logs.configure(settings, version=self.release(settings), secrets=secret_values(settings))

    def api(self, settings: Settings) -> Api:
        """The FastAPI application inside, without the probes and the edge."""
        api = Api(
            title=settings.title or settings.name,
            description=settings.description,
            version=self.release(settings),
            lifespan=lambda app: self._lifespan(settings, app),
            docs_url=None,
            redoc_url=None,
            openapi_url="/openapi.json" if settings.docs else None,
            # FastAPI traces, and logs what exceptions say, by itself as soon as a library sets a global provider.
            telemetry={"tracing": False, "metrics": False, "logs": False},
            describe=partial(self._describe, settings),
        )
        handle(api)
        api.dependency_overrides = self.dependency_overrides
        for router in self._routers(settings):
            include(api, router)
        if settings.docs:
            serve_api_docs(api)
        refuse_unserved(api.routes)
        return api

    def refuse_unserved(self, settings: Settings) -> None:
        """Raise StartError if there is a route that the server never serves, without making the application."""
        for router in self._routers(settings):
            refuse_unserved(router.routes)

    def _routers(self, settings: Settings) -> Sequence[APIRouter]:
        return [*self.routers, *(router for part in self.parts.values() for router in part.routers(settings))]

    def _describe(self, settings: Settings, document: dict[str, Any]) -> None:
        for part in self.parts.values():
            part.describe(document, settings)

    def routes(self, settings: Settings) -> list[Route]:
        """What is answered on the main port outside all middleware."""
        return [*self._probes(), *([] if settings.admin_port else self._admin_routes())]

    def _probes(self) -> list[Route]:
        return [
            Route("/livez", self.health.livez),
            Route("/startupz", self.health.startupz),
            Route("/readyz", self.health.readyz),
        ]

    def admin_app(self) -> ASGIApp:
        """What is served on the port of its own, where there is one."""
        return Starlette(routes=self._admin_routes())

    def _admin_routes(self) -> list[Route]:
        return [Route("/metrics", self.metrics.endpoint)]

    @contextlib.asynccontextmanager
    async def _lifespan(self, settings: Settings, app: Starlette) -> AsyncIterator[dict[str, object]]:
        self.health.start({})
        # Left in reverse: background work first, then the resources, and what tells of all that last.
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(tracing.flushed(self.tracing))
            stack.callback(self.metrics.settle)
            stack.enter_context(lag_observed(self.metrics.loop_lag.observe))
            background = Background()
            given = await stack.enter_async_context(
                opened(self._resources(), settings, seconds=settings.resource_seconds)
            )
            state = {"settings": settings, "background": background, **given}
            for part in self.parts.values():
                await stack.enter_async_context(part.at_work(state))
            stack.push_async_callback(background.finish, settings.background_seconds)
            refuse_unserved(app.routes)  # what was added since the application was made
            self.health.start(state)
            self.health.ready()
            log.info("ready")
            try:
                yield state
            finally:
                self.health.stop()
        log.info("stopped")

    def _resources(self) -> dict[str, Resource]:
        """The resources, the parts' first; those that ask for the registry have it."""
        of_parts = [part.resources() for part in self.parts.values()]
        return {
            name: partial(resource, registry=self.metrics.registry)
            if "registry" in signature(resource).parameters
            else resource
            for resources in (*of_parts, self.resources)
            for name, resource in resources.items()
        }
