"""Two instances behind a balancer that knows readiness only; each is replaced while requests keep coming."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from patience import HANGS
from service_process import Connection, Running, connected, running

POLL_SECONDS = 0.05
DRAIN_SECONDS = 3  # in which the balancer asks, on a machine of any speed
CLIENTS = 8


class Balancer:
    """Hands each request to an instance whose /readyz was green a moment ago, over connections that it keeps."""

    def __init__(self) -> None:
        self.instances: list[int] = []
        self.ready: list[int] = []
        self.lost: list[str] = []
        self._kept: dict[int, list[Connection]] = {}
        self._turn = 0

    async def poll(self) -> None:
        while True:
            self.ready = [port for port in self.instances if await self._is_ready(port)]
            await asyncio.sleep(POLL_SECONDS)

    async def _is_ready(self, port: int) -> bool:
        try:
            async with asyncio.timeout(HANGS), connected(port) as connection:
                return (await connection.ask("/readyz")).status == 200
        except (OSError, EOFError, TimeoutError):
            return False

    async def until_ready(self, *ports: int) -> None:
        async with asyncio.timeout(HANGS):
            while not {*ports} <= {*self.ready}:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                status, body = await self._forward(head.split()[1].decode())
                writer.write(f"HTTP/1.1 {status} \r\ncontent-length: {len(body)}\r\n\r\n{body}".encode())
        await Connection(reader, writer).close()

    async def _forward(self, path: str) -> tuple[int, str]:
        self._turn += 1
        port = self.ready[self._turn % len(self.ready)]
        kept = self._kept.setdefault(port, [])
        try:
            connection = kept.pop() if kept else Connection(*await asyncio.open_connection("127.0.0.1", port))
            response = await connection.ask(path)
        except (OSError, EOFError) as error:
            self.lost.append(repr(error))
            return 502, ""
        if response.headers.get("connection") == "close":
            await connection.close()
        else:
            kept.append(connection)
        return response.status, response.body

    async def close(self) -> None:
        for connection in itertools.chain(*self._kept.values()):
            await connection.close()


@contextlib.asynccontextmanager
async def load(port: int) -> AsyncIterator[list[int]]:
    statuses: list[int] = []
    enough = asyncio.Event()

    async def client() -> None:
        async with connected(port) as connection:
            while not enough.is_set():
                statuses.append((await connection.ask("/api/slow/0.01")).status)

    async with asyncio.TaskGroup() as clients:
        for _ in range(CLIENTS):
            clients.create_task(client())
        yield statuses
        enough.set()


async def replace(balancer: Balancer, old: Running, new: Running) -> None:
    balancer.instances.append(new.port)
    await balancer.until_ready(new.port)
    old.signal()
    assert await old.ended() == 0
    balancer.instances.remove(old.port)


@pytest.mark.anyio
@pytest.mark.slow
async def test_a_rolling_restart_loses_no_request(sample_service: Path) -> None:
    how = {"APP_DRAIN_SECONDS": str(DRAIN_SECONDS)}
    balancer = Balancer()
    async with contextlib.AsyncExitStack() as stack:
        starting = [stack.enter_async_context(running(sample_service, **how)) for _ in range(4)]
        services = await asyncio.gather(*starting)
        old, new = services[:2], services[2:]
        balancer.instances = [service.port for service in old]
        polling = asyncio.create_task(balancer.poll())
        front = await asyncio.start_server(balancer.serve, "127.0.0.1", 0)
        await balancer.until_ready(*balancer.instances)
        async with load(front.sockets[0].getsockname()[1]) as statuses:
            for retired, successor in zip(old, new, strict=True):
                await replace(balancer, retired, successor)
            before = len(statuses)
            async with asyncio.timeout(HANGS):
                while len(statuses) == before:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        polling.cancel()
        front.close()
        await balancer.close()
    assert balancer.lost == []
    assert set(statuses) == {200}
    assert len(statuses) > 200
