"""Drive applications through uvicorn's own protocol, without sockets: a figure that noise hardly moves.

Run by benchmarks/service.py in the environment of a service, with its folder as the current one. Prints a JSON object:
contender → microseconds of CPU a request, the minimum over many small batches, taken in turns. What a request costs the
kernel is not in it; parsing, the server, and the garbage collector are.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

BATCH = 400
BATCHES = 150
REQUEST = (
    "GET {path} HTTP/1.1\r\nhost: 127.0.0.1:8000\r\nuser-agent: bench\r\naccept: */*\r\n"
    "accept-encoding: gzip, deflate, br\r\n\r\n"
)

App = Callable[..., Any]


class Wire(asyncio.Transport):
    """What the protocol writes to; `answered` after each whole response."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 8000)})
        self.written = b""
        self.answered = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data
        if self.written.endswith(b"}"):  # the end of every body that is asked for here
            self.answered.set()

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        raise RuntimeError(f"the connection was closed after {self.written!r}")


class Driven:
    """One application on a connection of its own, started and never stopped.

    :param protocol: what makes a connection's protocol: uvicorn's class, or what the service's server takes instead.
    :param like: another that starts the same application: a service lives once in a process.
    """

    def __init__(
        self, app: App, path: str, *, protocol: Callable[..., HttpToolsProtocol], like: Driven | None = None
    ) -> None:
        self._config = uvicorn.Config(app, http="httptools", loop="uvloop", log_config=None, access_log=False)
        self._config.load()
        self._protocol_class = protocol
        self._request = REQUEST.format(path=path).encode()
        self._state: dict[str, Any] = like._state if like else {}
        self._is_first = like is None

    async def start(self) -> None:
        if self._is_first:
            await self._live()
        server = ServerState()
        server.default_headers = [(b"date", b"Sun, 22 Nov 2026 00:00:00 GMT")]
        self._protocol = self._protocol_class(self._config, server, self._state)
        self._wire = Wire()
        self._protocol.connection_made(self._wire)

    async def _live(self) -> None:
        begun = asyncio.get_running_loop().create_future()
        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        await inbox.put({"type": "lifespan.startup"})

        async def told(message: dict[str, Any]) -> None:
            if not begun.done():
                begun.set_result(message["type"])

        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self._state}
        self._life = asyncio.ensure_future(self._config.loaded_app(scope, inbox.get, told))
        if await begun != "lifespan.startup.complete":
            raise RuntimeError("the application did not start")

    async def ask(self) -> bytes:
        self._wire.answered.clear()
        self._wire.written = b""
        self._protocol.data_received(self._request)
        await self._wire.answered.wait()
        return self._wire.written

    async def batch(self) -> float:
        began = time.process_time_ns()
        for _ in range(BATCH):
            await self.ask()
        return (time.process_time_ns() - began) / BATCH / 1000


async def measure(contenders: dict[str, Driven]) -> dict[str, float]:
    for name, driven in contenders.items():
        await driven.start()
        answer = await driven.ask()
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(f"{name} answered {answer!r}")
    best = dict.fromkeys(contenders, float("inf"))
    for _ in range(BATCHES):
        for name, driven in contenders.items():
            best[name] = min(best[name], await driven.batch())
    return best


def main() -> None:
    # The access log goes where the service's goes in the measurement with a server: to a descriptor nobody reads.
    result = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    service = import_module(f"{sys.argv[1]}.__main__").service
    settings = service.load()
    service.configure_logging(settings)
    app = service.app(settings)
    protocol = import_module("chassis.http.protocol").bounded(settings)
    ours = Driven(app, "/api/v1/greeting", protocol=protocol)
    contenders = {
        "bare": Driven(import_module("bare").app, "/api/v1/greeting", protocol=HttpToolsProtocol),
        "service": ours,
        "probe": Driven(app, "/livez", protocol=protocol, like=ours),
    }
    figures = uvloop.run(measure(contenders))
    os.write(result, json.dumps(figures).encode())
    os._exit(0)  # the applications were started and are not stopped


if __name__ == "__main__":
    main()
