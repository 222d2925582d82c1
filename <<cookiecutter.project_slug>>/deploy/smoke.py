"""A smoke test of this service as a deploy would have it: `make smoke`.

Starts the service as its users do, with the settings of the environment it runs in, asks it from outside, and stops it.
Prints a line for each of the twelve factors that can be seen that way; exits with 1 at the first that is broken.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LISTENING = re.compile(r"listening on http://([\d.]+):(\d+)(?! \(metrics\))")
START_SECONDS = 60.0  # on a runner that does eight jobs at once
STOP_SECONDS = 60.0
PROBES = ("/livez", "/startupz", "/readyz")


class BrokenError(Exception):
    """The service does not do what it promises: a sentence, and what it wrote where that helps."""


@dataclass
class Started:
    """The running service: its process, where it listens, and the file with what it has written."""

    process: subprocess.Popen[bytes]
    log: Path
    host: str = ""
    port: int = 0

    def get(self, path: str) -> str:
        """The body of a 200. Raises BrokenError at anything else."""
        with contextlib.closing(http.client.HTTPConnection(self.host, self.port, timeout=10)) as connection:
            try:
                connection.request("GET", path)
                response = connection.getresponse()
                body = response.read().decode()
            except (OSError, http.client.HTTPException) as error:
                raise BrokenError(f"GET {path} was not answered: {error}") from error
        if response.status != 200:
            raise BrokenError(f"GET {path} answered {response.status}: {body[:500]}")
        return body

    def written(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


def command(package: str, *arguments: str) -> str:
    """Run one of the service's one-off commands and return its output. Raises BrokenError if it fails."""
    said = f"`python -m {package} {' '.join(arguments)}`"
    try:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", package, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=START_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise BrokenError(f"{said} did not end within {START_SECONDS:.0f} s.") from error
    if done.returncode:
        raise BrokenError(f"{said} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def started(package: str) -> Iterator[Started]:
    """Serve on a free port; kill the process at the end if it still runs."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "stdout"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", package, "serve"],
                env={**os.environ, "PORT": "0", "APP_LOG_FORMAT": "json"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Started(process, log)
        finally:
            process.kill()
            process.wait()


def wait_until_it_listens(service: Started) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (found := LISTENING.search(service.written())):
        if service.process.poll() is not None:
            raise BrokenError(f"it ended before it listened:\n{service.written()}")
        if time.monotonic() > deadline:
            raise BrokenError(f"it did not listen within {START_SECONDS:.0f} s:\n{service.written()}")
        time.sleep(0.02)
    service.host, service.port = found[1], int(found[2])


def stop(service: Started) -> float:
    """Send SIGTERM; return the seconds it took. Raises BrokenError if the exit code is not 0."""
    sent = time.monotonic()
    service.process.terminate()
    try:
        code = service.process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise BrokenError(f"it did not stop within {STOP_SECONDS:.0f} s:\n{service.written()}") from error
    if code:
        raise BrokenError(f"it stopped with exit code {code}:\n{service.written()}")
    return time.monotonic() - sent


def events(written: str) -> list[dict[str, object]]:
    """Each line of the log as JSON. Raises BrokenError with the line that is none."""
    found = []
    for line in written.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict) or "message" not in event:
            raise BrokenError(f"a line of its log is no event in JSON: {line}")
        found.append(event)
    return found


def check(package: str) -> Iterator[str]:
    """Yield a sentence for each promise that was kept. Raises BrokenError at the first that was not."""
    command(package, "config", "check")
    yield "3 config: the settings of this environment are complete and valid"
    if re.search(r"^  db\b", command(package, "--help"), re.MULTILINE):
        command(package, "db", "upgrade")
        yield "12 admin processes: `db upgrade` ran before the start"
    with started(package) as service:
        begun = time.monotonic()
        wait_until_it_listens(service)
        yield f"7 port binding: it listens on {service.host}:{service.port}, a port of its own"
        yield f"9 disposability: it started in {time.monotonic() - begun:.1f} s"
        for path in PROBES:
            service.get(path)
        yield f"4 backing services: {', '.join(PROBES)} answer 200"
        if "http_requests_total" not in service.get("/metrics"):
            raise BrokenError("/metrics does not count requests.")
        seconds = stop(service)
        yield f"9 disposability: it stopped in {seconds:.1f} s after SIGTERM, with exit code 0"
        number = len(events(service.written()))
    yield f"11 logs: all {number} lines that it wrote are events in JSON, on stdout"
    paths = json.loads(command(package, "openapi"))["paths"]
    yield f"12 admin processes: `openapi` runs as one, and describes {len(paths)} paths"


def main(package: str) -> int:
    try:
        for sentence in check(package):
            sys.stdout.write(f"{sentence}\n")
    except BrokenError as error:
        sys.stderr.write(f"Broken: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
