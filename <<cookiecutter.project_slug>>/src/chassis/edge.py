"""The edge: the one middleware every request passes, for its id, its metrics and its line in the log."""

from __future__ import annotations

import logging
import random
import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import errors, logs
from .health import Health, State
from .metrics import Metrics
from .security import StaticHeaders

WELL_FORMED_ID = re.compile(rb"[\w.:-]{1,128}", re.ASCII)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

access_log = logging.getLogger("chassis.access")


class Edge:
    """Wraps `app`: plain ASGI, because starlette's BaseHTTPMiddleware costs more than all of this."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, health: Health, headers: StaticHeaders) -> None:
        self._app = app
        self._headers = headers
        self._metrics = metrics
        self._health = health

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        token = logs.request_id.set(request_id)
        root_path = scope.get("root_path", "")
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = self._headers.added_to(message.get("headers", ()))
                message["headers"].append((b"x-request-id", request_id.encode()))
                if self._health.state is State.DRAINING:
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            await errors.last_resort(error, started=status > 0, scope=scope, receive=receive, send=send_with_headers)
        finally:
            self._metrics.in_flight.dec()
            self._account(scope, root_path, status or 500, time.perf_counter() - started)
            logs.request_id.reset(token)

    def _account(self, scope: Scope, root_path: str, status: int, seconds: float) -> None:
        route = route_template(scope, root_path)
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.duration.labels(method, route).observe(seconds)
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
