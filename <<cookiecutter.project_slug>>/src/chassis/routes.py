"""What a service serves, as a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from fastapi.routing import iter_route_contexts

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
    return [*_of(service.probes()), *_of(service.api(settings).routes)]


def _of(routes: Iterable[Any], prefix: str = "") -> Iterator[Served]:
    # FastAPI keeps included routers as they are; this gives the routes in them, with the prefixes around them.
    for route in iter_route_contexts(list(routes)):
        path, name = f"{prefix}{route.path or ''}", str(getattr(route, "name", None) or "")
        mounted = getattr(route.original_route, "routes", None)
        if mounted:
            yield from _of(mounted, path)
        elif methods := getattr(route, "methods", None):
            yield from (Served(method, path, name) for method in sorted(set(methods) - {"HEAD"}))
        else:
            yield Served(
                "WEBSOCKET" if "websocket" in type(route.original_route).__name__.lower() else "ANY", path, name
            )
