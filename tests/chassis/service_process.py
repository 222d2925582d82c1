"""A small service as a running process, for tests that look at the chassis from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from children import async_child
from installed import sources, write_distribution
from patience import HANGS

TEMPLATE = Path(__file__).parents[2] / "<<cookiecutter.project_slug>>"
LISTENING = re.compile(r"listening on http://127\.0\.0\.1:(\d+)(?! \(metrics\))")

SERVICE = """
import asyncio, contextlib, os
from chassis import Service
from fastapi import APIRouter, Request
from prometheus_client import Counter, Enum, Gauge
from prometheus_client.core import GaugeMetricFamily
from starlette.responses import StreamingResponse

router = APIRouter(prefix="/api")
orders = Counter("orders", "Orders taken.")
level = Gauge("level", "A gauge with a function.")
level.set_function(lambda: 7)
mood = Enum("mood", "An enum of the team.", states=["good", "bad"])

@router.get("/pid")
async def pid() -> int:
    orders.inc()
    return os.getpid()

@router.get("/slow/{seconds}")
async def slow(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"

@router.get("/stream/{seconds}")
async def stream(seconds: float) -> StreamingResponse:
    async def parts():
        yield "first "
        await asyncio.sleep(seconds)
        yield "last"
    return StreamingResponse(parts())

@router.post("/later")
async def later(request: Request) -> str:
    async def work():
        await asyncio.sleep(0.3)
        print("background work done", flush=True)
    request.state.background.spawn(work())
    return "accepted"

@contextlib.asynccontextmanager
async def pool(settings):
    if seconds := float(os.environ.get("SLOW_START", "0")):
        print("pool opening", flush=True)
        await asyncio.sleep(seconds)
    if os.environ.get("ABSENT"):
        raise ConnectionRefusedError("nobody listens")
    yield "pool"
    print("pool closed", flush=True)

async def database(given):
    assert given.pool == "pool"
    if os.path.exists("database-is-down"):
        raise ConnectionError("postgresql://user:password@host")

class PoolSize:
    def collect(self):
        return [GaugeMetricFamily("pool_size", "Connections.", value=3)]

service = Service(package=__package__, routers=[router], resources={"pool": pool}, checks={"database": database},
                  collectors=[PoolSize()])
if __name__ == "__main__":
    service.main()
"""


def make_service(folder: Path, main: str = SERVICE, **parts: str) -> Path:
    """Write the service into `folder`.

    :param main: its module __main__.
    :param parts: the kind of each part that it has, beside no other.
    """
    package = folder / "src" / "sample"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(main, encoding="utf-8")
    write_distribution(folder / "src", "parts-of-a-test", "1", parts)
    (folder / "config").mkdir()
    (folder / "config" / "settings.toml").write_text('name = "sample"\n', encoding="utf-8")
    return folder


def path_of(folder: Path) -> str:
    """PYTHONPATH for the service in `folder`: with the chassis, and the sources of all parts."""
    return os.pathsep.join(map(str, [folder / "src", *sources(TEMPLATE)]))


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: str

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Connection:
    """A connection that is kept alive."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, path: str, *, method: str = "GET", headers: str = "") -> Response:
        """Raises OSError or EOFError if no whole response comes."""
        self.writer.write(f"{method} {path} HTTP/1.1\r\nhost: test\r\ncontent-length: 0\r\n{headers}\r\n".encode())
        await self.writer.drain()
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        status, *fields = head.strip().split("\r\n")
        received = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        return Response(int(status.split()[1]), received, (await self._body(received)).decode())

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def _body(self, headers: Mapping[str, str]) -> bytes:
        if "content-length" in headers:
            return await self.reader.readexactly(int(headers["content-length"]))
        body = b""
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            body += (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)
        return body


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    connection = Connection(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield connection
    finally:
        await connection.close()


async def ask(port: int, path: str, **how: str) -> Response:
    async with asyncio.timeout(HANGS), connected(port) as connection:
        return await connection.ask(path, **how)


@dataclass
class Running:
    """A service's process, and what it has written so far."""

    process: asyncio.subprocess.Process
    log: Path
    port: int = 0

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output().splitlines() if line.startswith("{")]

    def errors(self) -> list[str]:
        return [line["message"] for line in self.lines() if line["level"] == "error"]

    def signal(self, sig: int = signal.SIGTERM) -> None:
        self.process.send_signal(sig)

    async def ended(self, seconds: float = HANGS) -> int:
        async with asyncio.timeout(seconds):
            return await self.process.wait()

    async def said(self, words: str) -> None:
        """Wait until its output has these words."""
        deadline = time.monotonic() + HANGS
        while words not in self.output():
            assert self.process.returncode is None, self.output()
            assert time.monotonic() < deadline, self.output()
            await asyncio.sleep(0.02)

    async def draining(self) -> None:
        """Wait until it has heard the signal."""
        async with asyncio.timeout(HANGS):
            while (await self.ask("/readyz")).status != 503:
                pass

    async def listening(self) -> None:
        deadline = time.monotonic() + HANGS
        while not (found := LISTENING.search(self.output())):
            assert self.process.returncode is None, self.output()
            assert time.monotonic() < deadline, self.output()
            await asyncio.sleep(0.01)
        self.port = int(found[1])

    async def ask(self, path: str, **how: str) -> Response:
        return await ask(self.port, path, **how)


@contextlib.asynccontextmanager
async def launched(folder: Path, command: str = "serve", **environ: str) -> AsyncIterator[Running]:
    """Start the service in `folder` on a free port; kill it at the end if it still runs."""
    log = folder / f"log-{time.monotonic_ns()}"
    unwanted = ("APP_", "PYTHONDONTWRITEBYTECODE")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    with log.open("wb") as output:
        async with async_child(
            *(sys.executable, "-m", "sample", *command.split()),
            cwd=folder,
            env={**inherited, "PYTHONPATH": path_of(folder), "PORT": "0", **environ},
            stdout=output,
            stderr=output,
        ) as process:
            yield Running(process, log)


@contextlib.asynccontextmanager
async def running(folder: Path, command: str = "serve", **environ: str) -> AsyncIterator[Running]:
    """As `launched`, and wait until it serves."""
    async with launched(folder, command, **environ) as service:
        await service.listening()
        yield service
