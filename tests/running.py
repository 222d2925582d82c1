"""A rendered service as a running process, asked from outside."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from filelock import FileLock

from children import child, end
from commands import Done, run, succeed
from environments import CACHE, service_path, without_project
from required import require_proc

LISTENING = re.compile(r"listening on http://([\d.]+):(\d+)")
START_SECONDS = 30
STOP_SECONDS = 30


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)


@dataclass
class Running:
    """The process, its port, and the lines it has written so far."""

    process: subprocess.Popen[str]
    output: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    """What it wrote to stderr."""
    host: str = ""
    port: int = 0

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of stdout, each a JSON object."""
        return [json.loads(line) for line in self.output]

    def get(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        connection = self.connection()
        with contextlib.closing(connection):
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def connection(self) -> http.client.HTTPConnection:
        """A connection to it, not yet open."""
        return http.client.HTTPConnection(self.host, self.port, timeout=30)

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)


@contextlib.contextmanager
def running(service: Path, python: Path, kind: str = "serve", **variables: str) -> Iterator[Running]:
    """Start a process of `service` on a free port as its users do, with `variables` added to the environment."""
    command = [str(python), "-m", package_of(service), kind]
    environment = environment_of(service, **variables)
    with started(command, folder=service, environment=environment) as process:
        yield process


@contextlib.contextmanager
def started(command: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> Iterator[Running]:
    """Run `command`, which serves, for as long as the block lasts."""
    pipe = subprocess.PIPE
    with child(*command, cwd=folder, env=environment, stdout=pipe, stderr=pipe) as process:
        service = Running(process)
        listening = threading.Event()
        readers = [
            threading.Thread(target=_read, args=(process.stdout, service, listening), daemon=True),
            threading.Thread(target=_keep, args=(process.stderr, service.errors), daemon=True),
        ]
        for reader in readers:
            reader.start()
        try:
            listening.wait(START_SECONDS)
            assert service.port, f"the service did not start; it wrote:\n{''.join(service.output + service.errors)}"
            yield service
        finally:
            end(process)
            for reader in readers:
                reader.join(STOP_SECONDS)


def command(service: Path, python: Path, *arguments: str, typed: str | None = None, **variables: str) -> Done:
    """Run one of the commands of `service` to its end, with `typed` as its input."""
    environment = environment_of(service, **variables)
    return run(python, "-m", package_of(service), *arguments, cwd=service, env=environment, typed=typed)


def run_in(service: Path, python: Path, *arguments: str, **variables: str) -> Done:
    """Run the shared environment's Python in `service`, with `variables` added to the environment."""
    environment = {**without_project(), "PYTHONPATH": service_path(service), **variables}
    with contextlib.ExitStack() as stack:
        if arguments[0] == "mypy":
            # Most of its time goes into libraries, which all services share: one after the other, with one cache.
            environment["MYPY_CACHE_DIR"] = str(CACHE / "mypy")
            stack.enter_context(FileLock(CACHE / "mypy.lock"))
        return run(python, "-m", *arguments, cwd=service, env=environment)


def package_of(service: Path) -> str:
    """The name of the team's package in `service`."""
    return str(json.loads((service / ".twelvefold/answers.json").read_text(encoding="utf-8"))["package_name"])


def write_package(service: Path, files: Mapping[str, str]) -> Path:
    """Write files, by name, over those of the team's package in `service`, and return `service`."""
    package = service / "src" / package_of(service)
    for name, text in files.items():
        (package / name).write_text(text, encoding="utf-8")
    return service


def environment_of(service: Path, **variables: str) -> dict[str, str]:
    """An environment in which `service` runs from its folder, on a free port, with `variables`."""
    return {**without_project(), "PYTHONPATH": service_path(service), "PORT": "0", **variables}


def _read(stream: IO[str] | None, service: Running, listening: threading.Event) -> None:
    for line in stream or ():
        service.output.append(line)
        if not service.port and (found := LISTENING.search(line)):
            service.host, service.port = found[1], int(found[2])
            listening.set()
    listening.set()  # the process ended, started or not


def _keep(stream: IO[str] | None, lines: list[str]) -> None:
    lines.extend(stream or ())


def resident(pid: int) -> float:
    """How much of a process is in memory, in MiB, as Linux and macOS tell."""
    return int(succeed("ps", "-o", "rss=", "-p", str(pid))) / 1024


def children_of(pid: int) -> list[int]:
    """The processes that `pid` started, oldest first. Skips the test where the system does not tell."""
    require_proc()
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()]
