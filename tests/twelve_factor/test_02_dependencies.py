"""II. Dependencies: every dependency is declared, and nothing that is not declared is used."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from commands import run, succeed
from conftest import Render
from environments import without_project
from running import started

POISON = "raise SystemExit('taken from where nothing was declared')\n"


# How it is started, and what that imports, is what is looked at here.
pytestmark = pytest.mark.usefixtures("really_started")


@pytest.fixture(scope="module")
def installed(rendered: Render, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service, installed into a clean environment from its declarations alone, without its tools."""
    service = tmp_path_factory.mktemp("installed") / "my-service"
    shutil.copytree(rendered(), service)
    environment = {**without_project(), "UV_PYTHON": str(python.resolve())}
    succeed("uv", "lock", "--quiet", cwd=service, env=environment)
    succeed("uv", "sync", "--frozen", "--no-dev", "--quiet", cwd=service, env=environment)
    return service


def clean(service: Path) -> Path:
    return service / ".venv/bin/python"


@pytest.mark.slow
def test_it_serves_from_a_clean_environment_in_isolation(installed: Path, tmp_path: Path) -> None:
    """`python -I`: no PYTHON* variable, no user's packages, not even the folder that it is started in."""
    command = [str(clean(installed)), "-I", "-m", "my_service", "serve"]
    with started(command, folder=installed, environment={"PORT": "0", "HOME": str(tmp_path)}) as service:
        assert service.get("/api/v1/greeting").json == {"message": "Hello, World!"}
        assert service.get("/docs").status == 200
        assert service.stop() == 0


@pytest.mark.slow
def test_it_needs_no_program_of_the_machine(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    command = [str(clean(installed)), "-m", "my_service", "serve"]
    environment = {"PORT": "0", "PATH": str(tmp_path / "empty"), "WEB_CONCURRENCY": "2"}
    with started(command, folder=installed, environment=environment) as service:
        assert service.get("/api/v1/greeting").status == 200


def test_packages_that_lie_about_are_not_used(installed: Path, tmp_path: Path) -> None:
    poisoned = tmp_path / "poisoned"
    shutil.copytree(installed / "config", poisoned / "config")
    (poisoned / "fastapi.py").write_text(POISON, encoding="utf-8")
    arguments = ("-m", "my_service", "version")
    environment = {"PYTHONPATH": str(poisoned)}
    assert "my-service 0.1.0" in succeed(clean(installed), "-I", *arguments, cwd=poisoned, env=environment)
    done = run(clean(installed), *arguments, cwd=poisoned, env=environment)
    assert (done.returncode, "taken from where" in done.stderr) == (1, True)  # they would have been


def test_the_tools_of_development_are_not_needed(installed: Path) -> None:
    for tool in ("pytest", "mypy", "ruff"):
        assert run(clean(installed), "-c", f"import {tool}").returncode != 0, tool


def test_what_is_imported_while_it_works_was_declared(installed: Path) -> None:
    """All commands at once: what they import comes from the environment, or from Python itself."""
    script = """
import json, sys, sysconfig
service.api(settings).openapi()
import chassis.serving, chassis.process.workers, chassis.settings.explain, chassis.settings.files
places = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib")] + [sys.prefix, "src/"]
files = [getattr(m, "__file__", None) for m in list(sys.modules.values())]
print(json.dumps([f for f in files if f and not any(place in f for place in places)]))
"""
    done = run(clean(installed), "-m", "my_service", "shell", cwd=installed, env={}, typed=script)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")


def test_every_import_is_declared_and_every_declaration_is_used(installed: Path, python: Path) -> None:
    succeed(python.with_name("deptry"), "src", cwd=installed)


def test_an_undeclared_import_is_noticed(fresh: Render, python: Path) -> None:
    service = fresh()
    (service / "src/my_service/more.py").write_text("import urllib3\n", encoding="utf-8")
    done = run(python.with_name("deptry"), "src", cwd=service)
    assert done.returncode != 0
    assert "urllib3" in done.stderr
