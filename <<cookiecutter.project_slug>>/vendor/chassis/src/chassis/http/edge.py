"""The edge: the one middleware every request passes, for its ids, its metrics, its span and its line in the log.

One, because each layer of middleware costs as much again as most of what it does.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from ..telemetry import context
from ..telemetry.access import Answered
from ..telemetry.accounts import Accounts
from ..telemetry.metrics import Metrics
from . import errors
from .exchange import KEY, Exchange
from .fastapi_inside import route_found
from .security import StaticHeaders

if TYPE_CHECKING:
    from ..telemetry.spans import Tracing


class Edge:
    """Wraps `app`, which answers everything but the probes."""

    def __init__(
        self, app: ASGIApp, *, metrics: Metrics, headers: StaticHeaders, accounts: Accounts, tracing: Tracing | None
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._headers = headers
        self._accounts = accounts
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = dict(scope["headers"])
        ids, tracing = _ids(received), self._tracing
        outer = context.current.set(ids)
        root_path = scope.get("root_path", "")
        if tracing:
            ids, span, token = tracing.begin(scope, ids)
        exchange = Exchange(received, receive, send, self._headers, ids.request_id)
        scope[KEY] = exchange
        self._metrics.in_flight += 1
        started = time.perf_counter()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            began = exchange.status > 0
            await errors.last_resort(error, started=began, scope=scope, receive=receive, send=exchange.send)
        finally:
            milliseconds = round((time.perf_counter() - started) * 1000, 3)
            self._metrics.in_flight -= 1
            status = exchange.status or errors.CLIENT_LEFT
            route = route_template(scope, root_path)
            self._accounts.add((ids, time.time(), _answered(scope, exchange, route, status, milliseconds)))
            if tracing:
                tracing.end(span, token, method=scope["method"], route=route, status=status)
            context.current.reset(outer)
            # The server's `send` leads to the scope: with this in it, only the garbage collector could free a request.
            scope.pop(KEY, None)


def _answered(scope: Scope, exchange: Exchange, route: str, status: int, milliseconds: float) -> Answered:
    client = scope.get("client")
    address = client[0] if client else None
    return Answered(
        scope["method"], scope["path"], route, status, milliseconds, exchange.size, address, exchange.subject
    )


def _ids(received: dict[bytes, bytes]) -> context.Ids:
    request_id, traceparent = received.get(b"x-request-id"), received.get(b"traceparent")
    if request_id is None and traceparent is None:
        return context.fresh()
    return context.new(
        request_id.decode("latin-1") if request_id else None, traceparent.decode("latin-1") if traceparent else None
    )


def route_template(scope: Scope, root_path: str = "") -> str:
    """The template of the route that answered, such as /items/{item_id}; "unmatched" where none did.

    Never the path itself: each would make a new time series.
    """
    found = route_found(scope)
    template = "" if isinstance(found, Mount) else getattr(found, "path_format", "")
    if not template:  # FastAPI adds nothing to a plain route or a mounted application in a router
        route = scope.get("route") or getattr(found, "original_route", None)
        template = "" if isinstance(route, Mount) else getattr(route, "path_format", "")
    mounted_at = scope.get("root_path", "")
    if mounted_at != root_path:
        template = f"{mounted_at.removeprefix(root_path)}{template}"
    return template or "unmatched"
