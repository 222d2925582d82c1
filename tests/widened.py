"""What a team writes with every capability on: notes in a table, written by endpoints, tasks and a schedule.

`write_notes` writes it over the first package of a rendered service; `embedded` and `networked` are deploys of it.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from backing import database, queue
from commands import Done
from running import Answer, Running, command, running, write_package

SETTINGS = """
import chassis


class Settings(chassis.Settings):
    paper: bool = True
"""

API = """
from fastapi import APIRouter
from sqlalchemy import select

from chassis_auth import requires
from chassis_database import Session
from chassis_tasks import TaskInfo

from .database import Note
from .tasks import tasks, write

router = APIRouter(prefix="/api/v1", dependencies=[requires("notes")])


@router.get("/notes")
async def notes(session: Session) -> list[str]:
    return list(await session.scalars(select(Note.text).order_by(Note.id)))


@router.post("/notes")
async def note(text: str, session: Session) -> None:
    session.add(Note(text=text))


@router.post("/later")
async def later(text: str, seconds: float = 0) -> str:
    return (await write.enqueue(text=text, seconds=seconds)).id


@router.get("/later/{one}")
async def find(one: str) -> TaskInfo | None:
    return await tasks.find(one)
"""

TASKS = """
import asyncio

from chassis_tasks import Tasks

from .database import Note, database

tasks = Tasks()


@tasks.task(retries=0)
async def write(text: str, seconds: float = 0) -> None:
    if not tasks.state.settings.paper:
        raise LookupError("there is no paper")
    await asyncio.sleep(seconds)
    async with database.session() as session:
        session.add(Note(text=text))


@tasks.task(every=1)
async def tick() -> None:
    await write(text="tick")
"""


def write_notes(service: Path) -> Path:
    """Put the team's package in the place of the first one of `service`, and return `service`."""
    return write_package(service, {"settings.py": SETTINGS, "api.py": API, "tasks.py": TASKS})


@dataclass
class Deploy:
    """The service in a folder of its own, with the variables that say what it is attached to."""

    service: Path
    python: Path
    variables: Mapping[str, str]
    token: str = field(default="", repr=False)

    def running(self, kind: str = "serve", **more: str) -> contextlib.AbstractContextManager[Running]:
        """One of its processes, for as long as the block lasts."""
        return running(self.service, self.python, kind, **{**self.variables, **more})

    def command(self, *arguments: str, typed: str | None = None, **more: str) -> Done:
        return command(self.service, self.python, *arguments, typed=typed, **{**self.variables, **more})

    def say(self, *arguments: str, typed: str | None = None, **more: str) -> str:
        """What a command prints; fails the test if the command fails."""
        done = self.command(*arguments, typed=typed, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def ask(self, process: Running, method: str, path: str, **query: object) -> Answer:
        """Ask as somebody with a token."""
        headers = {"authorization": f"Bearer {self.token}"}
        return process.get(f"/api/v1/{path}?{urlencode(query)}", method, headers)

    def notes(self, process: Running) -> list[str]:
        """All notes but those of the schedule."""
        return [text for text in self.everything(process) if text != "tick"]

    def everything(self, process: Running) -> list[str]:
        answer = self.ask(process, "GET", "notes")
        assert answer.status == 200, answer.body
        found: Any = answer.json
        return list(found)

    def later(self, process: Running, text: str, seconds: float = 0) -> str:
        """Have a note written by a task; return its id."""
        answer = self.ask(process, "POST", "later", text=text, seconds=seconds)
        assert answer.status == 200, answer.body
        return str(answer.json)

    def status(self, process: Running, task_id: str) -> str:
        """Where a task stands."""
        info: Any = self.ask(process, "GET", f"later/{task_id}").json
        return str(info["status"])

    def await_status(self, process: Running, task_id: str, status: str) -> None:
        """Wait until a task stands there."""
        until(lambda: self.status(process, task_id) == status)


def embedded(service: Path, python: Path, folder: Path) -> Deploy:
    """A deploy on the defaults: SQLite, tasks in the process that serves, the key of development."""
    return _migrated(Deploy(_copied(service, folder), python, {}))


@contextlib.contextmanager
def networked(service: Path, python: Path, folder: Path) -> Iterator[Deploy]:
    """A deploy on PostgreSQL and Redis. Skips the test where they are not, or fails it where they must be."""
    with database(python) as url, queue("redis", python) as variables:
        yield _migrated(Deploy(_copied(service, folder), python, {**variables, "DATABASE_URL": url}))


def _copied(service: Path, folder: Path) -> Path:
    return Path(shutil.copytree(service, folder / service.name))


def _migrated(deploy: Deploy) -> Deploy:
    deploy.say("db", "upgrade")
    deploy.token = deploy.say("auth", "token", "--subject", "ada", "--scope", "notes", "--expires", "1h").strip()
    return deploy


def until(reached: Callable[[], object], *, seconds: float = 20) -> None:
    """Wait until `reached` gives something true; fails the test if it does not in so many seconds."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"not within {seconds:g} s"
        time.sleep(0.05)
