"""The Procfile: all process types, really run by honcho, for those without a cluster."""

from __future__ import annotations

import os
import signal
import time
import uuid
from pathlib import Path

import pytest
import yaml

from commands import succeed
from conftest import Render
from environments import EVERYTHING
from required import ADDRESSES, require_server
from running import Running, environment_of, package_of, started


def procfile_of(service: Path) -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load((service / "Procfile").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("answers", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_each_process_type_is_a_command_of_the_service(
    answers: dict[str, str | bool], rendered: Render, python: Path
) -> None:
    service = rendered(**answers)
    commands = succeed(python, "-m", package_of(service), "--help", cwd=service, env=environment_of(service))
    for line in procfile_of(service).values():
        program, _, package, command = line.split()
        assert (program, package) == ("python", package_of(service))
        assert f"\n  {command} " in commands


def test_honcho_starts_and_ends_it(rendered: Render, python: Path) -> None:
    service = rendered()
    path = f"{python.parent}:{os.environ['PATH']}"
    environment = environment_of(service, PATH=path, APP_LOG_FORMAT="text", LOG_LEVEL="info")
    succeed("honcho", "check", cwd=service, env=environment)
    # Its own choice of a port would be 5000 for everybody on this machine.
    command = ["honcho", "start", "--no-colour", "--no-prefix", "--port", "0"]
    with started(command, folder=service, environment=environment) as process:
        assert process.get("/api/v1/greeting").status == 200
        process.process.send_signal(signal.SIGTERM)
        process.process.wait(30)
    assert any("stopped" in line for line in process.output)


@pytest.mark.slow
def test_honcho_starts_and_ends_all_process_types(rendered: Render, python: Path, tmp_path: Path) -> None:
    require_server(ADDRESSES["redis"])
    service = rendered(**EVERYTHING)
    mine = {
        "APP_NAME": f"honcho-{uuid.uuid4().hex[:8]}",
        "BROKER_URL": ADDRESSES["redis"],
        "DATABASE_URL": f"sqlite:///{tmp_path}/service.db",
    }
    path = f"{python.parent}:{os.environ['PATH']}"
    environment = environment_of(service, PATH=path, APP_LOG_FORMAT="text", **mine)
    succeed(python, "-m", package_of(service), "db", "upgrade", cwd=service, env=environment)
    with started(["honcho", "start", "--no-colour", "--port", "0"], folder=service, environment=environment) as process:
        deadline = time.monotonic() + 60
        while sum("listening on" in line for line in process.output) < 3 and time.monotonic() < deadline:
            time.sleep(0.2)
        process.process.send_signal(signal.SIGTERM)
        process.process.wait(60)
    assert {name for name in procfile_of(service) if any(f" {name}." in line for line in process.output)} == {
        *("web", "worker", "scheduler")
    }
    assert (count(process, "chassis.service: ready"), count(process, "chassis.service: stopped")) == (3, 3), "".join(
        process.output
    )


def count(process: Running, ending: str) -> int:
    return sum(line.rstrip().endswith(ending) for line in process.output)
