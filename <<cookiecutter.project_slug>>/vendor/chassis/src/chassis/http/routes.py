"""What a service serves, as a list, and what it never will."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from fastapi.routing import RouteContext, iter_route_contexts
from starlette.endpoints import WebSocketEndpoint
from starlette.routing import WebSocketRoute
from starlette.types import Scope

from ..failures import StartError
from .fastapi_inside import route_found

INSTEAD_OF_WEBSOCKETS = (
    "Send server-sent events (fastapi.sse.EventSourceResponse), or let clients poll. "
    "WebSockets come with a later version."
)
STANDARD_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})


class UnservedError(RuntimeError):
    """A test client opens a WebSocket, which the server never would."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(f"The WebSocket at {scope['path']} is never served. {INSTEAD_OF_WEBSOCKETS}")


class Served(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    name: str


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
    found = route_found(scope)
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


def refuse_unserved(routes: Iterable[Any], *, prefix: str = "") -> None:
    """Raise StartError if there is a route among these that a test client would serve and the server never will.

    Looks into routers and mounted applications. What an application decides only when it is called cannot be seen.
    """
    for route in iter_route_contexts(list(routes)):
        path = f"{prefix}{route.path or ''}"
        original = route.original_route
        mounted = _inside(getattr(original, "app", None))
        if isinstance(original, WebSocketRoute) or _is_websocket_endpoint(mounted):
            name = getattr(route, "name", None) or getattr(mounted, "__name__", "")
            raise StartError(f"The WebSocket at {path} ({name}) is never served. {INSTEAD_OF_WEBSOCKETS}")
        if unknown := sorted(method for method in _methods(route) if not _is_parsed(method)):
            raise StartError(
                f"{unknown[0]} {path} is never served: HTTP has no such method here. Use another, such as POST."
            )
        if not hasattr(original, "endpoint"):
            refuse_unserved(getattr(mounted, "routes", None) or (), prefix=path)


def _inside(application: Any) -> Any:
    # An application that is mounted in middleware.
    while not hasattr(application, "routes") and hasattr(application, "app"):
        application = application.app
    return application


def _is_websocket_endpoint(application: Any) -> bool:
    return isinstance(application, type) and issubclass(application, WebSocketEndpoint)


def _is_parsed(method: str) -> bool:
    if method in STANDARD_METHODS or method in {"ANY", "WEBSOCKET"}:
        return True
    import httptools  # the server's own parser decides

    heard = _Heard()
    try:
        httptools.HttpRequestParser(heard).feed_data(f"{method} / HTTP/1.1\r\n\r\n".encode())
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return False
    return heard.is_request


class _Heard:
    is_request = False

    def on_headers_complete(self) -> None:
        self.is_request = True
