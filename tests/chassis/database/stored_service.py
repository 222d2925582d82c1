"""A small service with a database as a running process, and clients that ask it all the time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from children import async_child
from database.sample import ITEMS
from patience import HANGS
from service_process import Running, make_service, path_of

MAIN = """
from chassis import Service
from chassis_database import Session
from fastapi import APIRouter
from sqlalchemy import func, select, text
from sample.database import Item, database

router = APIRouter()

@router.post("/items")
async def add(session: Session) -> int:
    session.add(item := Item(name=None))
    await session.flush()
    item.name = str(item.id)
    return item.id

@router.get("/items/count")
async def count(session: Session) -> int:
    return await session.scalar(select(func.count()).select_from(Item))

@router.get("/sleep/{seconds}")
async def sleep(session: Session, seconds: float) -> str:
    await session.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})
    return "slept"

@router.get("/plain")
async def plain() -> str:
    return "plain"

service = Service(package=__package__, routers=[router], parts={"database": database})
if __name__ == "__main__":
    service.main()
"""
DATABASE = """
from chassis_database import Database
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(unique=True)

database = Database(package=__package__, metadata=Base.metadata)
"""
USED = re.compile(r'^database_pool_connections\{state="used"\} ([\d.]+)$', re.MULTILINE)


def make_stored_service(folder: Path) -> Path:
    """Write the service into `folder`."""
    package = make_service(folder, database="chassis_database.part:Database") / "src" / "sample"
    (package / "__main__.py").write_text(MAIN, encoding="utf-8")
    (package / "database.py").write_text(DATABASE, encoding="utf-8")
    (package / "migrations").mkdir()
    migration = ITEMS.replace("sa.String(), nullable=False", "sa.String(), nullable=True")
    (package / "migrations" / "0001_items.py").write_text(migration, encoding="utf-8")
    return folder


async def command(folder: Path, *arguments: str, **environ: str) -> tuple[int, str]:
    """Run a command of the service. Returns its exit code and what it wrote."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("APP_")}
    async with async_child(
        *(sys.executable, "-m", "sample", *arguments),
        cwd=folder,
        env={**inherited, "PYTHONPATH": path_of(folder), **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    ) as process:
        output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@dataclass
class Load:
    """Clients that ask one path again and again; what they were answered."""

    service: Running
    answers: list[tuple[float, int]] = field(default_factory=list)
    """When it was asked, and the status."""

    def statuses(self, since: float = 0) -> set[int]:
        """What those were answered who asked since then."""
        return {status for at, status in self.answers if at >= since}

    async def until(self, status: int, *, since: float) -> None:
        """Wait until somebody who asked since then was answered `status`. Raises TimeoutError."""
        async with asyncio.timeout(HANGS):
            while status not in self.statuses(since):  # noqa: ASYNC110
                await asyncio.sleep(0.02)

    async def ask(self) -> None:
        while True:
            asked = time.monotonic()
            method, path = ("POST", "/items") if len(self.answers) % 2 else ("GET", "/items/count")
            answer = await self.service.ask(path, method=method)
            self.answers.append((asked, answer.status))
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def under_load(service: Running, clients: int = 20) -> AsyncIterator[Load]:
    load = Load(service)
    tasks = [asyncio.create_task(load.ask()) for _ in range(clients)]
    try:
        yield load
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in ended), ended


async def ready(service: Running, expected: int) -> None:
    """Wait until readiness is `expected`. Raises TimeoutError."""
    async with asyncio.timeout(HANGS):
        while (await service.ask("/readyz")).status != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def used(service: Running) -> float:
    """How many connections are in use."""
    found = USED.search((await service.ask("/metrics")).body)
    assert found
    return float(found[1])
