"""The example `poller` as running processes: the service, its workers, and a web for it to poll."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from children import child
from commands import succeed
from environments import TEMPLATE
from running import Running, environment_of, running

EXAMPLE = TEMPLATE / "examples/poller"
SCOPES = ("polls:read", "polls:write")
# So that it may ask the web on this machine.
LOCAL = {"APP_POLL_PRIVATE": "true", "APP_POLL_PORTS": "", "APP_ENVIRONMENT": "test"}


@dataclass
class Poller:
    """The service, asked with a token."""

    running: Running
    token: str

    @property
    def address(self) -> str:
        return f"http://{self.running.host}:{self.running.port}"

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The JSON that the service answers; fails the test if it is an error."""
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        answer = self.running.get(f"/api/v1/{path}", method, headers, data)
        assert answer.status < 300, answer.body
        return answer.json if answer.body else None

    def submit(self, urls: Sequence[str]) -> str:
        return str(self.ask("POST", "submit", {"urls": urls})["task_id"])

    def task(self, task_id: str) -> Any:
        return self.ask("GET", f"tasks/{task_id}")

    def progress(self, task_id: str) -> Iterator[dict[str, Any]]:
        """The events of one stream, as they come."""
        connection = self.running.connection()
        with contextlib.closing(connection):
            headers = {"authorization": f"Bearer {self.token}"}
            connection.request("GET", f"/api/v1/tasks/{task_id}/progress", headers=headers)
            for line in connection.getresponse():
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

    def watched(self, task_id: str, *, seconds: float) -> Iterator[dict[str, Any]]:
        """The events until the task is at its end; fails the test if it is not in so many seconds."""
        until = time.monotonic() + seconds
        while True:
            for update in self.progress(task_id):
                yield update
                if update["status"] not in {"queued", "running"}:
                    return
            assert time.monotonic() < until, self.task(task_id)["progress"]

    def done(self, task_id: str, *, seconds: float = 60) -> Any:
        """The task when it is at its end."""
        for _ in self.watched(task_id, seconds=seconds):
            pass
        return self.task(task_id)


@contextlib.contextmanager
def polling(service: Path, python: Path, **variables: str) -> Iterator[Poller]:
    """The service, with tables, for as long as the block lasts."""
    variables = {**LOCAL, **variables}
    command(service, python, "db", "upgrade", **variables)
    arguments = [part for scope in SCOPES for part in ("--scope", scope)]
    token = command(service, python, "auth", "token", "--subject", "ada", "--expires", "1h", *arguments, **variables)
    with running(service, python, **variables) as process:
        yield Poller(process, token.split()[-1])


def command(service: Path, python: Path, *arguments: str, **variables: str) -> str:
    """Run one of its commands; return what it wrote."""
    environment = environment_of(service, **{**LOCAL, **variables})
    return succeed(python, "-m", "poller", *arguments, cwd=service, env=environment)


@contextlib.contextmanager
def working(service: Path, python: Path, kind: str, **variables: str) -> Iterator[Running]:
    """A worker, or a scheduler, for as long as the block lasts."""
    with running(service, python, kind, **{**LOCAL, **variables}) as process:
        yield process


@contextlib.contextmanager
def web(python: Path) -> Iterator[str]:
    """The address of a web to poll, which answers in 0 to 200 ms below /mixed."""
    with child(python, EXAMPLE / "tests/web.py", stdout=subprocess.PIPE) as process:
        line = process.stdout.readline() if process.stdout else ""
        assert re.match("http://", line), "the web to poll did not start"
        yield line.strip()


@contextlib.contextmanager
def crew(service: Path, python: Path, number: int, **variables: str) -> Iterator[list[Running]]:
    """So many workers, and a scheduler, which is not among them."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(working(service, python, "scheduler", **variables))
        kinds = ["worker"] * number
        yield [stack.enter_context(working(service, python, kind, **variables)) for kind in kinds]


def asked(site: str) -> dict[str, int]:
    """How often each page of the web was asked."""
    with urllib.request.urlopen(f"{site}/asked", timeout=10) as response:
        found: dict[str, int] = json.load(response)
    return found


def outcome(result: Mapping[str, Any]) -> int | str:
    """A result's status, or its error."""
    found: int | str = result["error"] or result["status"]
    return found
