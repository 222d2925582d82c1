"""A TCP proxy that misbehaves on demand, for tests of what a service does when the network or a server fails.

async with fault_proxy("127.0.0.1", 5432) as proxy:
    ...                     # connect to 127.0.0.1:proxy.port
    proxy.swallow()         # a black hole: connections stay and new ones are taken, nothing comes through
    proxy.reset()           # what is open now is cut, as by a server that dies
    await proxy.refuse()    # nobody listens, as while a server restarts
    await proxy.heal()      # all is well again; what was swallowed is lost, and its connections are reset
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

NO_LINGER = struct.pack("ii", 1, 0)  # closing sends a reset, and not a polite end


class FaultProxy:
    """Hands on what comes to `port` to the server at `host`:`target`, until it is told otherwise."""

    def __init__(self, host: str, target: int) -> None:
        self.port = 0
        self.delay = 0.0
        """How long each piece waits on its way, in seconds."""
        self._target = (host, target)
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._writers) // 2

    def swallow(self) -> None:
        """Let nothing through, in neither direction, without a word."""
        self._open.clear()

    def reset(self) -> None:
        """Cut every connection that is open now."""
        for writer in self._writers:
            _reset(writer)

    async def refuse(self) -> None:
        """Cut every connection, and take no new one."""
        if self._listener:
            self._listener.close()
            self._listener = None
        self.reset()
        await asyncio.sleep(0)

    async def heal(self) -> None:
        """Hand everything on again, over new connections."""
        if not self._open.is_set():
            self.reset()
            self._open.set()
        if self._listener is None:
            # The port it had, even while ends of old connections linger there.
            self._listener = await asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_address=True)
            self.port = self._listener.sockets[0].getsockname()[1]

    async def close(self) -> None:
        await self.refuse()
        self._open.set()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: asyncio.Task[None] = asyncio.current_task()  # type: ignore[assignment] # a connection has one
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._connect(reader, writer)
        except OSError:
            _reset(writer)
        finally:
            self._writers.discard(writer)
            self._tasks.discard(task)
            writer.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._open.wait()
        if writer.transport.is_closing():  # it was cut meanwhile
            return
        there, back = await asyncio.open_connection(*self._target)
        self._writers.add(back)
        try:
            directions = [
                asyncio.ensure_future(self._hand_on(reader, back)),
                asyncio.ensure_future(self._hand_on(there, writer)),
            ]
            try:
                await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for direction in directions:
                    direction.cancel()
        finally:
            self._writers.discard(back)
            back.close()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self._open.is_set():
                    writer.write(piece)
                    await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    raw = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
    writer.transport.abort()


@contextlib.asynccontextmanager
async def fault_proxy(host: str, target: int) -> AsyncIterator[FaultProxy]:
    """A proxy on a free port of 127.0.0.1, handing on to the server at `host`:`target`."""
    proxy = FaultProxy(host, target)
    await proxy.heal()
    try:
        yield proxy
    finally:
        await proxy.close()
