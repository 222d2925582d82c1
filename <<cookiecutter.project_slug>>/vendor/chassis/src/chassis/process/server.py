"""The server: uvicorn, with a drain between SIGTERM and the end."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable
from types import FrameType

import uvicorn
from uvicorn.lifespan.on import LifespanOn

from .. import heap
from ..failures import StartError
from ..settings import Settings
from ..telemetry import process_group
from .health import Health, State

CUT_SHORT = 1
"""The exit code when requests had to be cancelled, or something did not close."""

CLOSE = (b"connection", b"close")

Started = Callable[[], Awaitable[None]]
"""Called when requests are served."""

log = logging.getLogger("chassis.server")


class PortTakenError(StartError):
    """The address cannot be listened on."""


class DrainingServer(uvicorn.Server):
    """On SIGTERM or SIGINT: readiness turns red, serving goes on for the drain time, requests in flight finish.

    uvicorn itself closes the listener at once, while load balancers still send new connections. A second signal
    ends the process at once.
    """

    def __init__(self, config: uvicorn.Config, *, health: Health, settings: Settings, started: Started) -> None:
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
        heap.freeze()
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


def silence_uvicorn() -> None:
    """Keep to ourselves what uvicorn says of its start and end: our own lines say when what happens."""
    noisy = logging.getLogger("uvicorn.error")
    if noisy.level == logging.NOTSET:
        noisy.setLevel(logging.WARNING)
    noisy.addFilter(_is_no_cancellation)


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    # Requests that are cancelled at the end are told of in one line, not with a traceback each.
    return not (record.exc_info and record.exc_info[0] is asyncio.CancelledError)


def listen(host: str, port: int, variable: str) -> socket.socket:
    """A socket that listens there. Raises PortTakenError, which names the `variable` to change."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        # Not error.strerror: it repeats the address.
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        raise PortTakenError(
            f"Cannot listen on {host}:{port}: {reason}. Set {variable} (0 takes a free one) or APP_HOST."
        ) from error
