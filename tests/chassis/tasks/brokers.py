"""Brokers of a test's own, which keep what they were told, and may be killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from children import async_child
from ports import free_port
from required import SERVICES, require

START_SECONDS = 60
QUIETLY = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.DEVNULL)
RABBITMQ_FOLDER = "/usr/lib/rabbitmq/bin"  # Debian's own command changes the user first


@dataclass(frozen=True)
class Server:
    """A server that is not running yet, and what it keeps in `folder`."""

    url: str
    command: list[str]
    port: int
    environ: Mapping[str, str] = field(default_factory=dict)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Inside, it answers; it is killed afterwards, with all its processes."""
        try:
            async with async_child(*self.command, env={**os.environ, **self.environ}, **QUIETLY) as process:
                await self._answering(process)
                yield
        finally:
            await self._silent()

    async def _answering(self, process: asyncio.subprocess.Process) -> None:
        async with asyncio.timeout(START_SECONDS):
            while not _answers(self.port):
                assert process.returncode is None, f"{self.command[0]} ended by itself"
                await asyncio.sleep(0.05)

    async def _silent(self) -> None:
        # A script's child may outlive it by a moment.
        async with asyncio.timeout(START_SECONDS):
            while _answers(self.port):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def program(name: str, path: str | None = None) -> str:
    """Where a server is installed. Skips the test if it is not, or fails it where servers are required."""
    return require(shutil.which(name, path=path), f"{name} on the PATH", SERVICES)


@contextlib.asynccontextmanager
async def redis(folder: Path) -> AsyncIterator[Server]:
    port = free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--save", ""]
    command = [program("redis-server"), *options, "--appendonly", "yes", "--appendfsync", "always"]
    yield Server(f"redis://127.0.0.1:{port}/0", command, port)


@contextlib.asynccontextmanager
async def nats(folder: Path) -> AsyncIterator[Server]:
    port = free_port()
    command = [program("nats-server"), "--addr", "127.0.0.1", "--port", str(port), "-js", "-sd", str(folder)]
    yield Server(f"nats://127.0.0.1:{port}", command, port)


@contextlib.asynccontextmanager
async def amqp(folder: Path) -> AsyncIterator[Server]:
    """RabbitMQ, with a name service of its own, which would stay if nobody ended it."""
    command = program("rabbitmq-server", f"{RABBITMQ_FOLDER}{os.pathsep}{os.environ.get('PATH', '')}")
    port, names = free_port(), free_port()
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.local = 127.0.0.1:{port}\n", encoding="utf-8")
    (folder / "plugins").write_text("[].\n", encoding="utf-8")
    environ = {
        "HOME": str(folder),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_NODENAME": f"test-{uuid4().hex[:8]}@localhost",
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    async with async_child(program("epmd"), "-address", "127.0.0.1", "-port", str(names), **QUIETLY):
        yield Server(f"amqp://guest:guest@127.0.0.1:{port}/", [command], port, environ)


BROKERS = {"redis": redis, "amqp": amqp, "nats": nats}
