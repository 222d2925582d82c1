"""PostgreSQL for tests: a database of one's own on the server of this machine, or a server of one's own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import asyncpg

from children import child
from ports import free_port
from required import ADDRESSES, SERVICES, missing, require

SERVER = ADDRESSES["postgresql"]
START_SECONDS = 60.0
QUIETLY: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": "/"}


@contextlib.contextmanager
def temporary_database() -> Iterator[str]:
    """The URL of a new, empty database."""
    name = f"chassis_{secrets.token_hex(6)}"
    try:
        asyncio.run(_execute(f"CREATE DATABASE {name}"))
    except OSError:
        missing(f"PostgreSQL at {SERVER}", SERVICES)
    try:
        yield f"{SERVER.rpartition('/')[0]}/{name}"
    finally:
        asyncio.run(_execute(f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(statement: str) -> None:
    connection = await asyncpg.connect(SERVER, timeout=5)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


class OwnServer:
    """A server that a test may stop and start as it likes; its data are in `folder`."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._folder = folder
        self._programs = programs
        self._process: subprocess.Popen[str] | None = None
        self._running = contextlib.ExitStack()

    def prepare(self) -> None:
        self._run("initdb", "--auth=trust", "--username=postgres", "--no-sync", "-D", str(self._folder / "data"))

    async def start(self) -> None:
        """Start, and wait until it answers."""
        options = f"-c port={self.port} -c listen_addresses=127.0.0.1 -c fsync=off -c unix_socket_directories="
        command = [*_as_postgres(), str(self._programs / "postgres"), "-D", str(self._folder / "data")]
        self._process = self._running.enter_context(child(*command, *options.split(), **QUIETLY))
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                await (await asyncpg.connect(self.url, timeout=1)).close()
                return
            except (OSError, asyncpg.PostgresError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)

    def stop(self) -> None:
        """Stop at once: connections are ended, and what they were doing is taken back."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_SECONDS)
            self._process = None
        self._running.close()

    def _run(self, program: str, *arguments: str) -> None:
        command = [*_as_postgres(), str(self._programs / program), *arguments]
        subprocess.run(command, check=True, **QUIETLY)


@contextlib.asynccontextmanager
async def own_server() -> AsyncIterator[OwnServer]:
    """A PostgreSQL that runs, on a free port."""
    programs = _programs()
    folder = Path("/tmp") / f"chassis-postgresql-{secrets.token_hex(6)}"  # noqa: S108 - the server's user must reach it
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    server = OwnServer(folder, programs)
    try:
        server.prepare()
        await server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


def _programs() -> Path:
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin")), *map(Path, os.get_exec_path())]  # Debian's are hidden
    found = next((place for place in places if (place / "initdb").is_file() and (place / "postgres").is_file()), None)
    return require(found, "the programs initdb and postgres", SERVICES)


def _as_postgres() -> list[str]:
    # It refuses to run as root.
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
