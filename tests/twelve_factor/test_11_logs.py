"""XI. Logs: an event stream on stdout, one JSON object a line, and nothing anywhere else."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from children import child
from commands import run
from conftest import Render
from environments import service_path
from ports import free_port
from read_only import read_only
from running import Running, environment_of, running, started
from team import take_over
from trees import tree

EVERY_LINE = {"timestamp", "level", "logger", "message", "service", "version", "environment"}
REQUEST_LINE = EVERY_LINE | {"request_id", "trace_id", "span_id", "method", "path", "route", "status"}
NOISE = [
    "greeting",
    "greeting?name=",
    "fail",
    "warn",
    "print-nothing",
    "later",
    "log?text=a%0A%7B%22b%22%3A1%7D%1B[31m",
]
REQUESTS = 140

# Notes every file that is opened for writing, in a process and all that it starts.
AUDIT = """
import os, sys

def audit(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        path, mode, flags = arguments
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            os.write(3, f"{os.fsdecode(path)}\\n".encode())
    elif event in {"os.mkdir", "os.rename", "os.remove", "os.symlink", "os.link", "os.truncate"}:
        os.write(3, f"{event} {arguments}\\n".encode())

sys.addaudithook(audit)
"""


@pytest.fixture(scope="module")
def service(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return take_over(Path(shutil.copytree(rendered(), tmp_path_factory.mktemp("logs") / "my-service")))


@pytest.fixture(scope="module", params=["1", "2"])
def stopped(request: pytest.FixtureRequest, service: Path, python: Path) -> Running:
    """A service that lived through load with all that goes wrong, in one process and in two, and ended."""
    with running(service, python, APP_ENVIRONMENT="production", WEB_CONCURRENCY=request.param) as noisy:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: ask(noisy, number), range(REQUESTS)))
        with socket.create_connection(("127.0.0.1", noisy.port)) as broken:
            broken.sendall(b"\x00\xff nonsense\r\n\r\n")
            broken.recv(1024)
        assert noisy.stop() == 0
    return noisy


def ask(service: Running, number: int) -> int:
    return service.get(f"/api/v1/{NOISE[number % len(NOISE)]}", headers={"x-request-id": f"n-{number}"}).status


def lines_of(service: Running, logger: str) -> list[dict[str, Any]]:
    return [event for event in service.events if event["logger"] == logger]


def test_every_line_is_a_json_object_with_the_same_members(stopped: Running) -> None:
    for line in stopped.output:
        assert line.endswith("\n")
        event = json.loads(line)
        assert event.keys() >= EVERY_LINE, line
        assert (event["service"], event["version"], event["environment"]) == ("my-service", "0.1.0", "production")
        assert line.isprintable() or line[:-1].isprintable(), line


def test_nothing_is_written_to_stderr(stopped: Running) -> None:
    assert stopped.errors == []


def test_every_request_has_one_line_with_its_ids(stopped: Running) -> None:
    lines = lines_of(stopped, "chassis.access")
    assert all(event.keys() >= REQUEST_LINE for event in lines)
    ids = [event["request_id"] for event in lines]
    assert sorted(ids) == sorted(f"n-{number}" for number in range(REQUESTS))
    assert len({event["trace_id"] for event in lines}) == REQUESTS


def test_what_goes_wrong_is_an_event_with_its_traceback(stopped: Running) -> None:
    share = REQUESTS // len(NOISE)
    thrown = [event["exception"]["type"] for event in stopped.events if "exception" in event]
    assert {kind: thrown.count(kind) for kind in ("RuntimeError", "ValueError", "LookupError")} == {
        "RuntimeError": share,
        "ValueError": share,
        "LookupError": share,
    }
    failed = [event for event in stopped.events if event.get("exception", {}).get("type") == "RuntimeError"]
    assert all("\n" in event["exception"]["traceback"] and event["request_id"].startswith("n-") for event in failed)
    assert "hunter2hunter2" not in "".join(stopped.output)
    assert any("old\nways" in event["message"] for event in lines_of(stopped, "py.warnings"))


def test_a_line_cannot_be_forged(stopped: Running) -> None:
    said = [event for event in stopped.events if event.get("answer") == 42]
    assert len(said) == REQUESTS // len(NOISE)
    assert {(event["message"], event["level"], event["extra_level"]) for event in said} == {
        ('a\n{"b":1}\x1b[31m', "info", "not this")
    }


def test_a_start_that_fails_is_an_event_too(service: Path, python: Path) -> None:
    environment = environment_of(service, APP_BREAK_AT_START="true")
    done = run(python, "-m", "my_service", "serve", cwd=service, env=environment)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (3, "")
    assert [event["level"] for event in events].count("error") == 1
    assert all(event.keys() >= EVERY_LINE for event in events)


@pytest.mark.slow
@pytest.mark.parametrize("processes", ["1", "2"])
def test_it_works_where_no_file_can_be_written(processes: str, fresh: Render, python: Path) -> None:
    """Its folder is read-only: no log file, no cache, no state."""
    service = take_over(fresh())
    before = tree(service)
    command = [*read_only(service), str(python), "-m", "my_service", "serve"]
    variables = environment_of(service, WEB_CONCURRENCY=processes, LOG_LEVEL="debug")
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    with started(command, folder=service, environment=variables) as frozen:
        assert frozen.get("/api/v1/write").json in {"OSError", "PermissionError"}
        assert [frozen.get(path).status for path in ("/api/v1/greeting", "/docs", "/metrics")] == [200] * 3
        assert frozen.stop() == 0
    assert frozen.errors == []
    assert tree(service) == before


def test_no_file_is_opened_for_writing(service: Path, python: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(AUDIT, encoding="utf-8")
    path = f"{tmp_path}:{service_path(service)}"
    opened = tmp_path / "opened"
    command = ["sh", "-c", f'exec "$0" -m my_service serve 3>{opened}', str(python)]
    # Python's own bytecode is not the service's, and was written by whichever test came first.
    environment = environment_of(service, PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1")
    with started(command, folder=service, environment=environment) as audited:
        for number in range(len(NOISE)):
            ask(audited, number)
        assert audited.get("/docs").status == 200
        before = opened.read_text(encoding="utf-8").splitlines()
        assert audited.get("/api/v1/write").json == "written"  # the control
        after = opened.read_text(encoding="utf-8").splitlines()
    (service / "written").unlink()
    assert (before, after) == ([], ["written"])


def test_a_reader_that_is_gone_breaks_no_request(service: Path, python: Path) -> None:
    port = free_port()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    environment = environment_of(service, PORT=str(port))
    with child(python, "-m", "my_service", "serve", cwd=service, env=environment, **pipes) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while "listening" not in process.stdout.readline():
            assert process.poll() is None
        process.stdout.close()
        unheard = Running(process, host="127.0.0.1", port=port)
        statuses = [unheard.get(f"/api/v1/{path}").status for path in ("greeting", "fail", "warn", "log", "greeting")]
        assert statuses == [200, 500, 200, 200, 200]
        process.terminate()
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
