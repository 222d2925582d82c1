"""A service with tasks, and its workers and schedulers, as processes."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from patience import HANGS
from required import require_server
from service_process import Running, launched, make_service
from tasks.queues import URLS

MAIN = """
import asyncio, os
import click
from chassis import Service
from chassis_tasks import TaskInfo, TasksUnavailableError
from fastapi import APIRouter
from .tasks import note, tasks

router = APIRouter()

@router.post("/note")
async def send(name: str, seconds: float = 0) -> str:
    return (await note.enqueue(name=name, seconds=seconds)).id

@router.get("/tasks/{one}")
async def find(one: str) -> TaskInfo | None:
    return await tasks.find(one)

@click.command()
@click.argument("first", type=int)
@click.argument("last", type=int)
@click.option("--seconds", default=0.0)
@click.pass_obj
async def flood(settings, first, last, seconds):
    async with tasks.opened(settings):
        for start in range(first, last, 50):
            numbers = range(start, min(start + 50, last))
            await asyncio.gather(*(insist(str(number), seconds) for number in numbers))

async def insist(name, seconds):
    while True:
        try:
            return await note.enqueue(name=name, seconds=seconds)
        except TasksUnavailableError:
            await asyncio.sleep(0.2)

async def database(given):
    if os.path.exists("database-is-down"):
        raise ConnectionError

service = Service(package=__package__, routers=[router], commands=[flood], checks={"database": database})
if __name__ == "__main__":
    service.main()
"""
TASKS = """
import asyncio, os
from chassis_tasks import Tasks

tasks = Tasks()

def write(line):
    file = os.open("done", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode() + b"\\n")
    os.close(file)

@tasks.task(retries=10)
async def note(name: str, seconds: float = 0) -> str:
    await asyncio.sleep(seconds)
    write(name)
    return name

@tasks.task(every=1)
async def tick() -> None:
    write("tick")
"""
SERVERS = {kind: url for kind, url in URLS.items() if kind != "memory"}
STORES = {"amqp": "redis"}  # of those that keep no values


@dataclass
class Site:
    """A folder with a service, and a queue of its own on a broker."""

    folder: Path
    environ: Mapping[str, str]

    def launched(self, command: str, **environ: str) -> AbstractAsyncContextManager[Running]:
        return launched(self.folder, command, **{**self.environ, **environ})

    def done(self) -> Counter[str]:
        """How often each task has come to its end."""
        file = self.folder / "done"
        return Counter(file.read_text(encoding="utf-8").split() if file.exists() else ())

    async def one_done(self) -> None:
        """Wait until any task has come to its end: those that are sent at once come in any order."""
        deadline = time.monotonic() + HANGS
        while not self.done():
            assert time.monotonic() < deadline, "none is done"
            await asyncio.sleep(0.05)

    async def all_done(self, names: set[str], seconds: float = HANGS) -> None:
        """Wait until each of these tasks has come to its end."""
        deadline = time.monotonic() + seconds
        while missing := names - self.done().keys():
            assert time.monotonic() < deadline, f"{len(missing)} are not done, such as {sorted(missing)[:5]}"
            await asyncio.sleep(0.05)

    async def run(self, command: str) -> str:
        """Run a command of the service to its end; return what it printed."""
        async with launched(self.folder, command, **self.environ) as process:
            code = await process.ended(2 * HANGS)
            assert code == 0, process.output()
            return process.output()


def server(broker: str) -> str:
    """The URL of a broker that answers. Skips the test if none does, or fails it where servers are required."""
    url = SERVERS[broker]
    require_server(url)
    return url


def make_site(folder: Path, broker: str, **environ: str) -> Site:
    """Write the service into `folder`."""
    url = server(broker)
    folder.mkdir(exist_ok=True)
    make_service(folder, MAIN, tasks="chassis_tasks.part:Tasks")
    (folder / "src" / "sample" / "tasks.py").write_text(TASKS, encoding="utf-8")
    store = server(STORES[broker]) if broker in STORES else ""
    queue = f"test-{uuid.uuid4().hex[:12]}"
    return Site(folder, {"BROKER_URL": url, "APP_TASKS_QUEUE": queue, "APP_TASKS_STORE_URL": store, **environ})
