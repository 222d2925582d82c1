"""The service: what a team hands over, put together."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import cached_property, partial
from inspect import signature
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute, request_response
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from . import access, logs, tracing
from .accounts import Accounts
from .api_docs import serve_api_docs
from .checks import Check
from .edge import Edge
from .errors import handle
from .event_loop import lag_observed
from .health import Health
from .lifecycle import Background, CloseError, Resource, StartError, opened
from .metrics import Metrics
from .openapi import Api
from .part import Part
from .parts import found, with_settings_of
from .rate_limit import Key, client_address
from .routes import UnservedError, refuse_unserved
from .security import StaticHeaders, headers
from .setting_types import secret_values
from .settings import Settings, load
from .stack import stack
from .versions import chassis_version, service_version

if TYPE_CHECKING:
    import click

log = logging.getLogger(__name__)

Dependency = Callable[..., Any]
RESERVED = {"settings", "background"}
LIFELESS = type(APIRouter().lifespan_context)  # of a router without a lifespan of its own


class Overridable:
    """Has a table of what stands in place of dependencies, and shares it: a new one is written into the old."""

    def __init__(self, overrides: dict[Dependency, Dependency]) -> None:
        self._overrides = overrides

    @property
    def dependency_overrides(self) -> dict[Dependency, Dependency]:
        """What tests put in place of dependencies, as on FastAPI's applications: in all that the service makes."""
        return self._overrides

    @dependency_overrides.setter
    def dependency_overrides(self, overrides: Mapping[Dependency, Dependency]) -> None:
        new = dict(overrides)
        self._overrides.clear()
        self._overrides.update(new)


class Service(Overridable):
    """A service, built in the team's composition root.

    :param package: the name of the team's package (``__package__``).
    :param settings: the team's settings class.
    :param routers: the team's endpoints.
    :param resources: opened in this order at start and closed in reverse; each is ``request.state.<name>``.
    :param checks: what must work for the service to be ready, by name; each is given what ``request.state`` holds.
    :param collectors: the team's own collectors for Prometheus. Plain counters and the like need none of this.
    :param rate_limit_key: whom a request counts for, given its ASGI scope: by default its address; None for nobody.
    :param commands: the team's one-off commands, run with the settings and the logging of the service: click's, with
        the settings by ``@click.pass_obj``; the function may be asynchronous.
    :param parts: the optional parts by name; by default those that are installed, each from the module of its name in
        the team's package.

    Handlers start work that outlives the response with ``request.state.background.spawn(...)``.
    """

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
        self.health = Health(checks=checks, announce=self.metrics.state.state)
        self.metrics.of_process.register(self.health)
        self.tracing: tracing.Tracing | None = None

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
        return _Front(app, edge, self.routes(settings), overrides=self.dependency_overrides)

    def backstage(self, settings: Settings) -> ASGIApp:
        """The ASGI application of a process that serves nobody: the service's life, its probes and /metrics."""
        self._prepare(settings)
        app = Starlette(lifespan=lambda app: self._lifespan(settings, app))
        return _Front(app, app, [*self._probes(), *self._admin_routes()], overrides=self.dependency_overrides)

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

    def main(self) -> None:
        """Run the command line and exit."""
        from .cli import main

        sys.exit(main(self))

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


class _Front(Overridable):
    """Answers the probes and /metrics itself, outside all middleware; hands all other requests to the edge."""

    def __init__(
        self, app: ASGIApp, edge: ASGIApp, routes: Sequence[Route], *, overrides: dict[Dependency, Dependency]
    ) -> None:
        super().__init__(overrides)
        self._app = app
        self._edge = edge
        self._routes = {route.path: route for route in routes}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            route = self._routes.get(scope["path"])
            await (route.handle if route else self._edge)(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            raise UnservedError(scope)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Here and not in the server, so that what goes wrong is told once, and whatever the server.
        try:
            await self._app(scope, receive, send)
        except StartError as error:
            log.error("%s", error, exc_info=error if log.isEnabledFor(logging.DEBUG) else None)
            raise
        except CloseError:
            raise  # was told where it happened
        except Exception:
            log.exception("the start or the end failed")
            raise


def include(api: FastAPI, router: APIRouter) -> None:
    """Make the routes of `router` those of `api`.

    FastAPI's `include_router` puts an object in between, behind which each request looks for its route: an eighth of a
    small request. A router that has nothing but endpoints needs none: they know its prefix and its dependencies, and
    what overrides those they learn here.
    """
    if _is_plain(router):
        api.router.routes.extend(_own(api, route) for route in router.routes if isinstance(route, APIRoute))
    else:
        api.include_router(router)


def _is_plain(router: APIRouter) -> bool:
    # Whether including it would do no more than to add its routes.
    kind = type(router)
    lives = router.on_startup or router.on_shutdown or not isinstance(router.lifespan_context, LIFELESS)
    chooses = kind.matches is not APIRouter.matches or kind.handle is not APIRouter.handle
    has_more = router.form_limits or router._low_priority_routes  # what `frontend` adds
    return not (lives or chooses or has_more) and all(map(_is_endpoint, router.routes))


def _is_endpoint(route: BaseRoute) -> bool:
    # One without a path is refused by `include_router`, in a sentence.
    return isinstance(route, APIRoute) and route.max_body_size is None and bool(route.path)


def _own(api: FastAPI, route: APIRoute) -> APIRoute:
    own = copy(route)
    own.dependency_overrides_provider = api
    own.app = request_response(own.get_route_handler())
    return own
