"""What a service serves, as a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import WebSocketRoute
from starlette.types import Scope

if TYPE_CHECKING:
    from .service import Service
    from .settings import Settings


class Served(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    name: str


def served(service: Service, settings: Settings) -> list[Served]:
    """Every route of `service` as it is with `settings`: the probes, then the application's."""
    return [*listed(service.routes(settings)), *listed(service.api(settings).routes)]


def listed(routes: Iterable[Any], *, prefix: str = "") -> Iterator[Served]:
    """The routes, and those in routers and applications that are mounted among them."""
    # FastAPI keeps included routers as they are; this gives the routes in them, with the prefixes around them.
    for route in iter_route_contexts(list(routes)):
        path, name = f"{prefix}{route.path or ''}", str(getattr(route, "name", None) or "")
        if mounted := getattr(route.original_route, "routes", None):
            yield from listed(mounted, prefix=path)
        for method in _methods(route):
            yield Served(method, path, name)


def allowed(scope: Scope) -> list[str]:
    """The methods of all routes with the path of the one that a request found. Starlette tells of that one alone."""
    found = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    path, application = getattr(found, "path", None), scope.get("app")
    if not path or application is None:
        return []
    same = [route for route in iter_route_contexts(application.routes) if route.path == path]
    return sorted({method for route in same for method in getattr(route, "methods", None) or ()})


def _methods(route: RouteContext) -> list[str]:
    original = route.original_route
    if isinstance(original, WebSocketRoute):
        return ["WEBSOCKET"]
    if getattr(original, "routes", None):
        return []
    return sorted(set(getattr(route, "methods", None) or {"ANY"}) - {"HEAD"})
