"""The edge: the one middleware every request passes, for its id, its metrics and its line in the log."""

from __future__ import annotations

import logging
import random
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import logs
from .metrics import METHODS, Metrics

WELL_FORMED_ID = re.compile(rb"[\w.:-]{1,128}", re.ASCII)

access_log = logging.getLogger("chassis.access")


class Edge:
    """Wraps `app`: plain ASGI, because starlette's BaseHTTPMiddleware costs more than all of this."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        token = logs.request_id.set(request_id)
        root_path = scope.get("root_path", "")
        started = time.perf_counter()
        status = size = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
            else:
                size += len(message.get("body", b""))
            await send(message)

        self._metrics.in_flight += 1
        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            self._metrics.in_flight -= 1
            self._account(scope, root_path, status or 500, time.perf_counter() - started, size)
            logs.request_id.reset(token)

    def _account(self, scope: Scope, root_path: str, status: int, seconds: float, size: int) -> None:
        route = route_template(scope, root_path)
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        self._metrics.observe(method, route, status, seconds, size)
        access_log.info(
            "%s %s %d",
            scope["method"],
            scope["path"],
            status,
            extra={"method": method, "route": route, "status": status, "duration_ms": round(seconds * 1000, 3)},
        )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and WELL_FORMED_ID.fullmatch(value):
            return str(value, "ascii")
    # Not uuid4: this names a request and guards nothing, and the system's randomness costs a system call.
    return f"{random.getrandbits(128):032x}"


def route_template(scope: Scope, root_path: str = "") -> str:
    """The template of the route that answered, such as /items/{item_id}; "unmatched" where none did.

    Never the path itself: each would make a new time series.
    """
    # Since FastAPI 0.137 scope["route"].path lacks the prefix of the routers around it; this has the whole.
    context = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    template = getattr(context, "path_format", None)
    if template is None:
        return "unmatched"
    mounted_at = scope.get("root_path", "").removeprefix(root_path)
    return f"{mounted_at}{template}"
