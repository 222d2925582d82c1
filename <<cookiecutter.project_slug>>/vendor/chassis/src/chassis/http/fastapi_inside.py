"""What FastAPI has inside and promises to nobody: all of it that the chassis uses, and how it does without.

Each use saves every request some time. Where a version has something no more, what is public does the same, slower.
The template's tests name the version that this was seen to hold for.
"""

from copy import copy
from typing import Any, cast

from fastapi import FastAPI, routing
from fastapi.routing import APIRoute, APIRouter, iter_route_contexts
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Scope

CONTEXT: str | None = getattr(routing, "_FASTAPI_EFFECTIVE_ROUTE_CONTEXT_KEY", None)
"""Where `scope["fastapi"]` has the route that was found with what the routers around it add: their prefix, say."""
# Layers that every request pays for, and whose work `Api`, the edge and the limits do. By name, because some cannot be
# imported from a public place; one with another name is merely kept.
SUPERFLUOUS = frozenset({"ServerErrorMiddleware", "ExceptionTelemetryMiddleware", "AppBodyLimitMiddleware"})
LIFELESS = type(APIRouter().lifespan_context)  # of a router without a lifespan of its own


def route_found(scope: Scope) -> Any:
    """The route that a request found, with the prefix of the routers around it; None if it found none."""
    # Since FastAPI 0.137 scope["route"].path lacks that prefix, unless `include` made the route the application's own.
    route = scope.get("route")
    if CONTEXT is None:
        return _searched(scope, route) or route
    return (scope["fastapi"].get(CONTEXT) if "fastapi" in scope else None) or route


def _searched(scope: Scope, route: Any) -> Any:
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    contexts = iter_route_contexts(scope["app"].routes) if "app" in scope else ()
    return next((each for each in contexts if each.original_route is route and each.path_regex.match(path)), None)


def without_superfluous(outermost: ASGIApp) -> ASGIApp:
    """A stack of FastAPI's middleware without the layers whose work the chassis does."""
    layer: Any = outermost
    while type(layer).__name__ in SUPERFLUOUS:
        layer = layer.app
    return cast("ASGIApp", layer)


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
    # What `frontend` adds, and how large a form may be. An attribute that is gone may have another name now.
    has_more = getattr(router, "form_limits", True) or getattr(router, "_low_priority_routes", True)
    known = hasattr(routing, "request_response") and all(map(_is_endpoint, router.routes))
    return known and not (lives or chooses or has_more)


def _is_endpoint(route: BaseRoute) -> bool:
    # One without a path is refused by `include_router`, in a sentence.
    if not (isinstance(route, APIRoute) and hasattr(route, "dependency_overrides_provider") and route.path):
        return False
    return getattr(route, "max_body_size", True) is None


def _own(api: FastAPI, route: APIRoute) -> APIRoute:
    own = copy(route)
    own.dependency_overrides_provider = api
    own.app = routing.request_response(own.get_route_handler())
    return own
