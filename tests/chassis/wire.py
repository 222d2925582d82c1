"""The server's side of one connection without sockets: what comes in, in which pieces and when, is up to a test.

As a program it answers for tests that are run by another interpreter: each line that it reads is a JSON list of pieces,
each line that it writes is what came back, both in hexadecimal.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.server import ServerState

from chassis.http.protocol import BoundedProtocol, HeadLimits

TURNS = 30
"""How often the loop goes round before all that can be done was done."""

LIMITS = HeadLimits(size=65_536, headers=100, url=8192, seconds=10)


class Timer:
    """What `call_later` gives."""

    def __init__(self, when: float, act: Callable[[], object]) -> None:
        self.when = when
        self.act = act
        self.is_over = False

    def cancel(self) -> None:
        self.is_over = True


class Loop:
    """An event loop whose time a test moves on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def call_later(self, seconds: float, act: Callable[[], object]) -> Timer:
        self.timers.append(Timer(self.now + seconds, act))
        return self.timers[-1]

    def create_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        return asyncio.get_running_loop().create_task(work)

    def move_on(self, seconds: float) -> None:
        self.now += seconds
        for timer in [timer for timer in self.timers if timer.when <= self.now and not timer.is_over]:
            timer.cancel()
            timer.act()


class Transport(asyncio.Transport):
    """What the protocol writes to."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 50000), "sockname": ("127.0.0.1", 8000)})
        self.written = b""
        self.is_paused = False
        self.is_half_closed = False
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.is_half_closed
        if not self.is_closed:
            self.written += data

    def write_eof(self) -> None:
        self.is_half_closed = True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = True


class Connection:
    """A client's connection to `app`."""

    def __init__(self, app: ASGIApp, *, limits: HeadLimits = LIMITS) -> None:
        config = uvicorn.Config(app, ws="none", log_config=None, access_log=False)
        self.loop = Loop()
        self.transport = Transport()
        self.taken = 0
        self._pieces: list[bytes] = []
        loop: Any = self.loop
        self.protocol = BoundedProtocol(config, ServerState(), {}, loop, limits=limits)
        self.protocol.connection_made(self.transport)

    async def send(self, *pieces: bytes) -> bytes:
        """Let `pieces` come one after the other, as far as the server reads. Returns all that came back until now."""
        self._pieces += pieces
        for _ in range(TURNS):
            await self._turn()
        while self._pieces and not (self.transport.is_paused or self.transport.is_closed):
            await self._turn()
        for _ in range(TURNS):
            await self._turn()
        return self.transport.written

    async def _turn(self) -> None:
        if self._pieces and not (self.transport.is_paused or self.transport.is_closed):
            piece = self._pieces.pop(0)
            self.taken += len(piece)
            self.protocol.data_received(piece)
        await asyncio.sleep(0)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with what was asked: the method, the path, how many headers, and the body."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        more = message["more_body"]
    said = (
        f"{scope['method']} {scope['path']} {scope['query_string'].decode()} {len(scope['headers'])} ".encode() + body
    )
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(said))]})
    await send({"type": "http.response.body", "body": said})


async def answers(lines: Iterable[str]) -> None:
    for line in lines:
        connection = Connection(echo)
        written = await connection.send(*map(bytes.fromhex, json.loads(line)))
        sys.stdout.write(f"{written.hex()}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(answers(sys.stdin))
