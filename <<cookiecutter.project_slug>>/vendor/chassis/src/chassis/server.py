"""The server: uvicorn, with a drain between SIGTERM and the end."""

from __future__ import annotations

import asyncio
import atexit
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.lifespan.on import LifespanOn

from . import process_group, workers
from .health import Health, State
from .lifecycle import StartError
from .protocol import bounded
from .settings import Settings

if TYPE_CHECKING:
    from .service import Service

CUT_SHORT = 1
"""The exit code when requests had to be cancelled, or something did not close."""

CLOSE = (b"connection", b"close")

log = logging.getLogger(__name__)


class PortTakenError(StartError):
    """The address cannot be listened on."""


class DrainingServer(uvicorn.Server):
    """On SIGTERM or SIGINT: readiness turns red, serving goes on for the drain time, requests in flight finish.

    uvicorn itself closes the listener at once, while load balancers still send new connections. A second signal
    ends the process at once.

    :param started: called when requests are served.
    """

    def __init__(
        self, config: uvicorn.Config, *, health: Health, settings: Settings, started: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(config)
        self._health = health
        self._settings = settings
        self._tell_started = started
        self._stop_at: float | None = None
        self._cut_short = False

    @property
    def exit_code(self) -> int:
        return CUT_SHORT if self._cut_short or self.lifespan.shutdown_failed else 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._stop_at is None:
            # uvicorn would note the signal and raise it again at the end, and the process would die of it.
            self.drain()
        elif process_group.PLACE is None:
            os._exit(128 + sig)
        # A worker may get the signal twice, from its parent and from whoever signals the whole process group, so
        # only its parent counts them.

    def drain(self) -> None:
        """Begin the end."""
        was_ready = self._health.state is State.READY
        self._stop_at = time.monotonic() + (self._settings.drain_seconds if was_ready else 0)
        self._health.drain()
        self._ask_to_reconnect()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        # What goes wrong in the application's start was logged by it, in one line; uvicorn would add a traceback.
        self.lifespan = _QuietLifespan(self.config)
        await super().startup(sockets)
        # What was made until now stays. The collector would look at all of it again and again, for nothing; and what
        # one request leaves behind is little, so it need not look after each few of them.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)
        await self._tell_started()

    async def on_tick(self, counter: int) -> bool:
        ended = await super().on_tick(counter)
        if self._stop_at is None:
            return ended
        self._ask_to_reconnect()  # every second uvicorn makes a new list of headers
        return ended or time.monotonic() >= self._stop_at

    def _ask_to_reconnect(self) -> None:
        # Into the list that responses under way hold too.
        if CLOSE not in self.server_state.default_headers:
            self.server_state.default_headers.append(CLOSE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or ():
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()  # closes it if idle, else after its response
        await self._finish_requests()
        await self.lifespan.shutdown()

    async def _finish_requests(self) -> None:
        state = self.server_state
        deadline = time.monotonic() + self._settings.shutdown_seconds
        while (state.tasks or state.connections) and time.monotonic() < deadline:  # noqa: ASYNC110
            # uvicorn has no event for "the last one ended".
            await asyncio.sleep(0.02)
        if state.tasks:
            self._cut_short = True
            log.error("%d requests were cancelled: not done in %g s", len(state.tasks), self._settings.shutdown_seconds)
            for task in state.tasks:
                task.cancel()
            await asyncio.wait(list(state.tasks), timeout=1)


class _QuietLifespan(LifespanOn):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.logger = logging.Logger("chassis.lifespan", logging.CRITICAL)


def serve(service: Service, *, settings: Settings) -> int:
    """Serve until a signal ends it, in one process or several. Return the exit code.

    Raises PortTakenError. Exits with 3 if the service cannot start; why was logged.
    """
    _silence_uvicorn()
    if process_group.PLACE is not None:
        return _serve_as_worker(service, settings, process_group.PLACE)
    if settings.web_concurrency > 1:
        service.refuse_unserved(settings)  # what each worker would say, and the parent only that none could start
    listeners = [_listen(settings.host, settings.port, "PORT")]
    if settings.admin_port:
        listeners.append(_listen(settings.host, settings.admin_port, "ADMIN_PORT"))

    def announce() -> None:
        _announce(listeners)

    async def started() -> None:
        announce()

    try:
        if settings.web_concurrency > 1:
            deadline = _longest_end(service, settings)
            return workers.supervise(listeners, settings=settings, deadline=deadline, announce=announce)
        return _run(service, settings, listeners, started=started)
    finally:
        for listener in listeners:
            listener.close()


def stand_by(service: Service, *, settings: Settings, port: int) -> int:
    """Live until a signal ends it, and serve nothing but the probes and /metrics. Return the exit code.

    :param port: where to listen.

    Raises PortTakenError. Exits with 3 if the service cannot start; why was logged.
    """
    _silence_uvicorn()
    listener = _listen(settings.host, port, "APP_TASKS_PORT")

    async def started() -> None:
        _announce([listener])

    # No load balancer sends anything here: what it does ends at once.
    settings = settings.model_copy(update={"drain_seconds": 0})
    with listener:
        return _run_app(service.backstage(settings), service, settings, [listener], started=started)


def _serve_as_worker(service: Service, settings: Settings, place: process_group.Place) -> int:
    listeners = [socket.socket(fileno=descriptor) for descriptor in place.listeners]
    lifeline = socket.socket(fileno=place.lifeline)
    for inherited in (*listeners, lifeline):
        inherited.set_inheritable(False)
    group = service.metrics.group = workers.group(str(place.slot))

    async def started() -> None:
        await group.join(service.metrics.local)
        workers.follow_parent(lifeline, orphaned=orphaned)

    def orphaned() -> None:
        atexit.register(group.disband)  # the parent cannot any more
        signal.raise_signal(signal.SIGTERM)

    with lifeline:
        return _run(service, settings, listeners, started=started)


def _run(
    service: Service, settings: Settings, listeners: list[socket.socket], *, started: Callable[[], Awaitable[None]]
) -> int:
    app = service.app(settings)
    if settings.admin_port:
        app = _by_port(app, service.admin_app(), listeners[-1].getsockname()[1])
    return _run_app(app, service, settings, listeners, started=started)


def _run_app(
    app: ASGIApp,
    service: Service,
    settings: Settings,
    listeners: list[socket.socket],
    *,
    started: Callable[[], Awaitable[None]],
) -> int:
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=bounded(settings),  # type: ignore[arg-type] # is only called
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
    )
    server = DrainingServer(config, health=service.health, settings=settings, started=started)
    server.run(sockets=listeners)
    return server.exit_code


def _by_port(app: ASGIApp, admin: ASGIApp, admin_port: int) -> ASGIApp:
    async def choose(scope: Scope, receive: Receive, send: Send) -> None:
        is_admin = scope["type"] == "http" and scope["server"][1] == admin_port
        await (admin if is_admin else app)(scope, receive, send)

    return choose


def _announce(listeners: list[socket.socket]) -> None:
    for listener, purpose in zip(listeners, ("", " (metrics)"), strict=False):
        host, port = listener.getsockname()[:2]
        log.info("listening on http://%s:%d%s", f"[{host}]" if ":" in host else host, port, purpose)


def _longest_end(service: Service, settings: Settings) -> float:
    of_parts = sum(len(part.resources()) for part in service.parts.values())
    closing = settings.resource_seconds * (len(service.resources) + of_parts)
    return settings.drain_seconds + settings.shutdown_seconds + settings.background_seconds + closing + 5


def _silence_uvicorn() -> None:
    # "Started server process", "Waiting for application startup" …: our own lines say when what happens.
    noisy = logging.getLogger("uvicorn.error")
    if noisy.level == logging.NOTSET:
        noisy.setLevel(logging.WARNING)
    noisy.addFilter(_is_no_cancellation)


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    # Requests that are cancelled at the end are told of in one line, not with a traceback each.
    return not (record.exc_info and record.exc_info[0] is asyncio.CancelledError)


def _listen(host: str, port: int, variable: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        # Not error.strerror: it repeats the address.
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise PortTakenError(
            f"Cannot listen on {host}:{port}: {reason}. Set {variable} (0 takes a free one) or APP_HOST."
        ) from error
