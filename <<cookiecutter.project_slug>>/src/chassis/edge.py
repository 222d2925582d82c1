"""The edge: the one middleware every request passes, for its ids, its metrics, its span and its line in the log.

One, because each layer of middleware costs as much again as most of what it does.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import context, errors
from .accounts import Accounts
from .metrics import Metrics
from .security import StaticHeaders

if TYPE_CHECKING:
    from .tracing import Tracing


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
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif self._tracing is None:
            await self._answer(scope, receive, send, _ids(scope))
        else:
            await self._answer_traced(scope, receive, send, self._tracing)

    async def _answer_traced(self, scope: Scope, receive: Receive, send: Send, tracing: Tracing) -> None:
        ids = _ids(scope)
        outer = context.current.set(ids)
        ids, span, token = tracing.begin(scope, ids)
        root_path = scope.get("root_path", "")
        status = errors.CLIENT_LEFT
        try:
            status = await self._answer(scope, receive, send, ids)
        finally:
            tracing.end(span, token, method=scope["method"], route=route_template(scope, root_path), status=status)
            context.current.reset(outer)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, ids: context.Ids) -> int:
        token = context.current.set(ids)
        root_path = scope.get("root_path", "")
        status = size = 0

        # Not `async`: it hands on the awaitable it got, where a coroutine of its own would be made for each message.
        def send_on(message: Message) -> Awaitable[None]:
            nonlocal status, size
            if message["type"] == "http.response.body":
                size += len(message.get("body", b""))
            elif message["type"] == "http.response.start":
                status = message["status"]
                headers = self._headers.added_to(message.get("headers", ()))
                headers.append((b"x-request-id", ids[0].encode()))
                message["headers"] = headers
            return send(message)

        self._metrics.in_flight += 1
        started = time.perf_counter()
        try:
            await self._app(scope, receive, send_on)
        except Exception as error:
            await errors.last_resort(error, started=status > 0, scope=scope, receive=receive, send=send_on)
        finally:
            seconds = time.perf_counter() - started
            self._metrics.in_flight -= 1
            status = status or errors.CLIENT_LEFT
            method, client = scope["method"], scope.get("client")
            route = route_template(scope, root_path)
            address = client[0] if client else None
            self._accounts.add((ids, method, scope["path"], address, route, status, seconds, size, time.time()))
            context.current.reset(token)
        return status


def _ids(scope: Scope) -> context.Ids:
    headers = dict(scope["headers"])
    request_id, traceparent = headers.get(b"x-request-id"), headers.get(b"traceparent")
    return context.new(
        request_id.decode("latin-1") if request_id else None, traceparent.decode("latin-1") if traceparent else None
    )


def route_template(scope: Scope, root_path: str = "") -> str:
    """The template of the route that answered, such as /items/{item_id}; "unmatched" where none did.

    Never the path itself: each would make a new time series.
    """
    # Since FastAPI 0.137 scope["route"].path lacks the prefix of the routers around it; the context has the whole. Of a
    # plain route or a mounted application in a router it has nothing.
    found = scope["fastapi"].get("effective_route_context") if "fastapi" in scope else None
    template = getattr(found, "path_format", "")
    if not template:
        route = scope.get("route") or getattr(found, "original_route", None)
        template = "" if isinstance(route, Mount) else getattr(route, "path_format", "")
    mounted_at = scope.get("root_path", "")
    if mounted_at != root_path:
        template = f"{mounted_at.removeprefix(root_path)}{template}"
    return template or "unmatched"
