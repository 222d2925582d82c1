"""The front: the first that a request meets, outside all middleware."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ..failures import CloseError, StartError
from .routes import UnservedError

log = logging.getLogger("chassis.service")

Dependency = Callable[..., Any]


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


class Front(Overridable):
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
