"""Every rendered service lints, type-checks, tests and runs. Only starting it and asking it finds all faults."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from answers import capability_sets, label
from commands import run
from conftest import Render
from environments import EVERYTHING, interpreter, service_path, service_python, without_project
from required import missing
from running import Running, package_of, run_in, running

VARIANTS: list[dict[str, str | bool]] = [
    *capability_sets(),
    {"project_name": 'Zürich\'s "50 %" \\ {{ café }} 🎉', "project_slug": "z", "package_name": "z"},
]


# What is in all of them, with nothing on, with everything on, and under names that are hard to take.
APART = [VARIANTS[0], VARIANTS[-2], VARIANTS[-1]]


@pytest.mark.parametrize("answers", VARIANTS, ids=label)
@pytest.mark.parametrize("command", [("ruff", "check"), ("mypy",)], ids=lambda command: " ".join(command))
def test_its_own_checks_pass(
    command: tuple[str, ...], answers: dict[str, str | bool], fresh: Render, python: Path
) -> None:
    done = run_in(fresh(**answers), python, *command)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("answers", APART, ids=label)
def test_its_files_are_formatted(answers: dict[str, str | bool], rendered: Render, python: Path) -> None:
    """No answer changes a Python file, as test_files.py proves: with everything on, all of them are there."""
    done = run_in(rendered(**answers), python, "ruff", "format", "--check", "--no-cache")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "answers", [pytest.param(one, marks=[] if one in APART else pytest.mark.slow, id=label(one)) for one in VARIANTS]
)
def test_its_own_tests_pass(answers: dict[str, str | bool], fresh: Render, python: Path) -> None:
    done = run_in(fresh(**answers), python, "pytest", "-q")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("command", "broken"),
    [
        (("ruff", "check"), "import os\n"),
        (("ruff", "format", "--check"), "x  =  1\n"),
        (("mypy",), 'x: int = "1"\n'),
        (("pytest", "-q"), "def test_it() -> None:\n    raise AssertionError\n"),
    ],
    ids=["ruff check", "ruff format", "mypy", "pytest"],
)
def test_its_own_checks_fail_when_something_is_wrong(
    command: tuple[str, ...], broken: str, fresh: Render, python: Path
) -> None:
    service = fresh()
    (service / "tests/test_broken.py").write_text(broken, encoding="utf-8")
    assert run_in(service, python, *command).returncode != 0


@pytest.mark.slow
def test_its_tests_see_nothing_of_what_the_shell_exports(fresh: Render, python: Path) -> None:
    exported = dict.fromkeys(("ADMIN_PORT", "APP_NONSENSE", "BROKER_URL", "OTEL_TRACES_EXPORTER"), "nonsense")
    done = run_in(fresh(**EVERYTHING), python, "pytest", "-q", **exported)
    assert done.returncode == 0, done.stdout + done.stderr


def ask_everything(service: Running, title: str) -> None:
    greeting = service.get("/api/v1/greeting")
    assert (greeting.status, greeting.json) == (200, {"message": "Hello, World!"})
    assert service.get("/api/v1/greeting?name=%F0%9F%8E%89").json == {"message": "Hello, 🎉!"}
    assert [service.get(probe).status for probe in ("/livez", "/readyz", "/startupz")] == [200, 200, 200]
    assert service.get("/nothing/here").status == 404
    assert service.get("/api/v1/greeting?name=").status == 422
    assert service.get("/api/v1/greeting", method="POST").status == 405
    docs = service.get("/docs")
    assert docs.status == 200
    assert b"swagger-ui" in docs.body
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        assert service.get(f"/docs/{asset}").status == 200, asset
    openapi = service.get("/openapi.json").json
    assert isinstance(openapi, dict)
    assert openapi["info"]["title"] == title
    assert "/api/v1/greeting" in openapi["paths"]
    metrics = service.get("/metrics").body.decode()
    assert 'http_requests_total{method="GET",route="/api/v1/greeting",status="200"} 2.0' in metrics
    assert 'route="unmatched",status="404"' in metrics
    assert "/nothing/here" not in metrics


CHECKS = {"database": ("database", "schema"), "tasks": ("broker", "tasks_store"), "auth": ("auth",)}


@pytest.mark.parametrize("answers", VARIANTS, ids=label)
def test_it_runs_answers_and_stops(
    answers: dict[str, str | bool], rendered: Render, python: Path, tmp_path: Path
) -> None:
    service = rendered(**answers)
    title = json.loads((service / ".twelvefold/answers.json").read_text(encoding="utf-8"))["project_name"]
    variables = {"APP_AUTH_SECRET": "no secret of anybody's, 32 bytes"} if answers.get("auth") else {}
    if answers.get("database"):
        variables["DATABASE_URL"] = f"sqlite:///{tmp_path}/service.db"
        done = run_in(service, python, package_of(service), "db", "upgrade", **variables)
        assert done.returncode == 0, done.stdout + done.stderr
    with running(service, python, **variables) as started:
        ask_everything(started, title)
        ready: Any = started.get("/readyz").json
        assert {*ready["checks"]} == {check for name, checks in CHECKS.items() if answers.get(name) for check in checks}
        assert started.stop() == 0
    assert {"chassis.server", "chassis.access"} <= {event["logger"] for event in started.events}
    assert started.errors == []
    assert not [event for event in started.events if event["level"] in {"warning", "error", "critical"}]


# What is told apart by a capability is what its modules alone import.
IMPORTED_BY = {
    "database": {"sqlalchemy", "chassis_database"},
    "tasks": {"chassis_tasks"},
    "auth": {"jwt", "chassis_auth"},
}


# Most of a start is imports: 669 with nothing on and 844 with everything, and a few more for newer libraries.
MODULES = {"without a database": 730, "with a database": 880}


@pytest.mark.slow
@pytest.mark.parametrize("answers", capability_sets(), ids=label)
@pytest.mark.usefixtures("really_started")
def test_nothing_is_imported_that_is_not_used(answers: dict[str, str | bool], rendered: Render, python: Path) -> None:
    code = "import sys; from my_service.__main__ import service; service.app(); print(*sys.modules)"
    service = rendered(**answers)
    done = run(python, "-c", code, cwd=service, env={**without_project(), "PYTHONPATH": service_path(service)})
    assert done.returncode == 0, done.stderr
    imported = set(done.stdout.split())
    assert "fastapi" in imported
    assert len(imported) <= MODULES["with a database" if answers["database"] else "without a database"]
    off = [capability for capability in IMPORTED_BY if not answers[capability]]
    assert [name for capability in off for name in imported if name in IMPORTED_BY[capability]] == []
    assert not imported & {"alembic", "aiohttp", "IPython"}  # of commands, or of what nobody asked for yet


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.11", "3.13"])
def test_it_runs_and_passes_its_tests_on_each_python(version: str, fresh: Render) -> None:
    try:
        interpreter(version)
    except LookupError:
        missing(f"Python {version}")
    python = service_python(version)
    service = fresh()
    done = run_in(service, python, "pytest", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    with running(service, python) as started:
        ask_everything(started, "My Service")
        assert started.stop() == 0


def test_a_wrong_setting_is_told_in_a_sentence(rendered: Render, python: Path) -> None:
    done = run_in(rendered(), python, "my_service", "serve", APP_PRT="80", PORT="http")
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    assert re.search(r"\b(APP_)?prt\b.*\bDid you mean APP_PORT\?", done.stderr, re.IGNORECASE)
    assert re.search(r"\b(APP_)?port\b.*\binteger\b", done.stderr, re.IGNORECASE)


def test_a_taken_port_is_told_in_a_sentence(rendered: Render, python: Path) -> None:
    service = rendered()
    with running(service, python) as first:
        done = run_in(service, python, "my_service", "serve", PORT=str(first.port))
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert f"127.0.0.1:{first.port}" in done.stdout + done.stderr
    assert "PORT" in done.stdout + done.stderr


def test_a_second_chassis_beside_the_package_is_refused(fresh: Render, python: Path) -> None:
    service = fresh()
    (service / "src/chassis").mkdir()
    (service / "src/chassis/__init__.py").touch()
    in_vendor_first = os.pathsep.join(reversed(service_path(service).split(os.pathsep)))
    done = run_in(service, python, "my_service", "version", PYTHONPATH=in_vendor_first)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{service}/src/chassis is a second chassis" in done.stderr
    assert "git rm -r" in done.stderr
