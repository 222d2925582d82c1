"""A rendered service as a running process, asked from outside."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from environments import without_project

LISTENING = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")
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
    """The process, its port on 127.0.0.1, and the lines it has written so far."""

    process: subprocess.Popen[str]
    output: list[str] = field(default_factory=list)
    port: int = 0

    def get(self, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def stop(self) -> int:
        """Send SIGTERM and return the exit code."""
        self.process.terminate()
        return self.process.wait(STOP_SECONDS)


@contextlib.contextmanager
def running(service: Path, python: Path, **variables: str) -> Iterator[Running]:
    """Start `service` on a free port as its users do, with `variables` added to the environment."""
    package = json.loads((service / ".twelvefold/answers.json").read_text(encoding="utf-8"))["package_name"]
    environment = {**without_project(), "PYTHONPATH": str(service / "src"), "PORT": "0", **variables}
    process = subprocess.Popen(
        [python, "-m", package, "serve"],
        cwd=service,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    started = Running(process)
    listening = threading.Event()
    reader = threading.Thread(target=_read, args=(process.stdout, started, listening), daemon=True)
    reader.start()
    try:
        listening.wait(START_SECONDS)
        assert started.port, f"the service did not start; it wrote:\n{''.join(started.output)}"
        yield started
    finally:
        process.kill()
        process.wait()
        reader.join(STOP_SECONDS)
        if process.stdout:
            process.stdout.close()


def _read(stream: IO[str] | None, started: Running, listening: threading.Event) -> None:
    for line in stream or ():
        started.output.append(line)
        if found := LISTENING.search(line):
            started.port = int(found[1])
            listening.set()
    listening.set()  # the process ended, started or not
