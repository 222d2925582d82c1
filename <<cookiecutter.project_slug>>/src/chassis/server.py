"""The server: uvicorn, with a drain between SIGTERM and the end."""

from __future__ import annotations

import logging
import socket
import time
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from .health import Health, State
from .settings import Settings

log = logging.getLogger(__name__)


class PortTakenError(Exception):
    """The address cannot be listened on."""


class DrainingServer(uvicorn.Server):
    """On SIGTERM or SIGINT: readiness turns red, serving goes on for the drain time, requests in flight finish.

    uvicorn itself closes the listener at once, while load balancers still send new connections. A second signal
    ends the wait.
    """

    def __init__(self, config: uvicorn.Config, *, health: Health, drain_seconds: float) -> None:
        super().__init__(config)
        self._health = health
        self._drain_seconds = drain_seconds
        self._stop_at: float | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._stop_at is not None:
            self.should_exit = self.force_exit = True
            return
        # uvicorn would note the signal and raise it again at the end, and the process would die of it.
        self._stop_at = time.monotonic() + self._drain_seconds
        self._health.state = State.DRAINING

    async def on_tick(self, counter: int) -> bool:
        if self._stop_at is not None and time.monotonic() >= self._stop_at:
            self.should_exit = True
        return await super().on_tick(counter)


def serve(app: ASGIApp, *, settings: Settings, health: Health) -> None:
    """Serve `app` until a signal ends it. Raises PortTakenError."""
    listener = _listen(settings.host, settings.port)
    host, port = listener.getsockname()[:2]
    log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
    )
    with listener:
        DrainingServer(config, health=health, drain_seconds=settings.drain_seconds).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise PortTakenError(
            f"Cannot listen on {host}:{port}: {error.strerror}. Set PORT (0 takes a free one) or APP_HOST."
        ) from error
