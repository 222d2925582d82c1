"""Serving: the application in its server, in one process or several."""

import atexit
import logging
import signal
import socket
from functools import partial

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from .application import Application
from .http.protocol import bounded
from .process import workers
from .process.health import Health
from .process.server import DrainingServer, Started, listen, silence_uvicorn
from .settings import Settings
from .telemetry import process_group

log = logging.getLogger("chassis.server")


def serve(application: Application, *, settings: Settings) -> int:
    """Serve until a signal ends it, in one process or several. Return the exit code.

    Raises PortTakenError. Exits with 3 if the service cannot start; why was logged.
    """
    silence_uvicorn()
    if process_group.PLACE is not None:
        return _serve_as_worker(application, settings, process_group.PLACE)
    if settings.web_concurrency > 1:
        application.refuse_unserved(settings)  # what each worker would say, and the parent only that none could start
    listeners = [listen(settings.host, settings.port, "PORT")]
    if settings.admin_port:
        listeners.append(listen(settings.host, settings.admin_port, "ADMIN_PORT"))

    async def started() -> None:
        _announce(listeners)

    try:
        if settings.web_concurrency > 1:
            deadline, announce = _longest_end(application, settings), partial(_announce, listeners)
            return workers.supervise(listeners, settings=settings, deadline=deadline, announce=announce)
        return _run(application, settings, listeners, started=started)
    finally:
        for listener in listeners:
            listener.close()


def stand_by(application: Application, *, settings: Settings, port: int, variable: str) -> int:
    """Live until a signal ends it, and serve nothing but the probes and /metrics. Return the exit code.

    :param port: where to listen; 0 takes a free port.
    :param variable: what sets the port, for the sentence about one that is taken.

    Raises PortTakenError. Exits with 3 if the service cannot start; why was logged.
    """
    silence_uvicorn()
    listener = listen(settings.host, port, variable)

    async def started() -> None:
        _announce([listener])

    # No load balancer sends anything here: what it does ends at once.
    settings = settings.model_copy(update={"drain_seconds": 0})
    with listener:
        app = application.backstage(settings)
        return _run_app(app, application.health, settings, [listener], started=started)


def _serve_as_worker(application: Application, settings: Settings, place: process_group.Place) -> int:
    listeners = [socket.socket(fileno=descriptor) for descriptor in place.listeners]
    lifeline = socket.socket(fileno=place.lifeline)
    for inherited in (*listeners, lifeline):
        inherited.set_inheritable(False)
    group = application.metrics.group = workers.group(str(place.slot))

    async def started() -> None:
        await group.join(application.metrics.local)
        workers.follow_parent(lifeline, orphaned=orphaned)

    def orphaned() -> None:
        atexit.register(group.disband)  # the parent cannot any more
        signal.raise_signal(signal.SIGTERM)

    with lifeline:
        return _run(application, settings, listeners, started=started)


def _run(application: Application, settings: Settings, listeners: list[socket.socket], *, started: Started) -> int:
    app = application.app(settings)
    if settings.admin_port:
        app = _by_port(app, application.admin_app(), listeners[-1].getsockname()[1])
    return _run_app(app, application.health, settings, listeners, started=started)


def _run_app(
    app: ASGIApp, health: Health, settings: Settings, listeners: list[socket.socket], *, started: Started
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
    server = DrainingServer(config, health=health, settings=settings, started=started)
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


def _longest_end(application: Application, settings: Settings) -> float:
    of_parts = sum(len(part.resources()) for part in application.parts.values())
    closing = settings.resource_seconds * (len(application.resources) + of_parts)
    return settings.drain_seconds + settings.shutdown_seconds + settings.background_seconds + closing + 5
