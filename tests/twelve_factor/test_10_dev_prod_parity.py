"""X. Dev/prod parity: one command, one code path, one lock; only documented settings differ."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from commands import Done, run, succeed
from conftest import Render
from environments import without_project
from running import Running, environment_of, running
from team import take_over

SIDES = ("development", "production")
OF_THE_MOMENT = {"date", "x-request-id"}


def command(service: Path, python: Path, *arguments: str, typed: str | None = None, **variables: str) -> Done:
    environment = environment_of(service, **variables)
    return run(python, "-m", "my_service", *arguments, cwd=service, env=environment, typed=typed)


@pytest.fixture(scope="module")
def sides(rendered: Render, python: Path) -> Iterator[dict[str, Running]]:
    """The same folder and the same command, on both sides."""
    with contextlib.ExitStack() as stack:
        yield {
            side: stack.enter_context(running(rendered(), python, APP_ENVIRONMENT=side, LOG_LEVEL="debug"))
            for side in SIDES
        }


@pytest.mark.parametrize(
    "path", ["/api/v1/greeting", "/api/v1/greeting?name=", "/nothing", "/docs", "/openapi.json", "/readyz", "/startupz"]
)
def test_both_give_the_same_answers(path: str, sides: dict[str, Running]) -> None:
    answers = [sides[side].get(path) for side in SIDES]
    fields = [{k: v for k, v in answer.headers.items() if k not in OF_THE_MOMENT} for answer in answers]
    bodies = [re.sub(rb'"request_id":"[^"]+"', b"", answer.body) for answer in answers]
    assert (answers[0].status, fields[0], bodies[0]) == (answers[1].status, fields[1], bodies[1])


def test_both_have_the_same_metrics(sides: dict[str, Running]) -> None:
    names = [re.findall(r"^# TYPE (\S+)", sides[side].get("/metrics").body.decode(), re.MULTILINE) for side in SIDES]
    assert names[0] == names[1]
    assert "http_requests_total" in names[0]


def test_both_write_the_same_lines(sides: dict[str, Running]) -> None:
    for side in SIDES:
        sides[side].get("/api/v1/greeting?name=parity")
        sides[side].stop()
    told = [{(each["logger"], each["level"], frozenset(each)) for each in sides[side].events} for side in SIDES]
    assert told[0] == told[1]


@pytest.mark.slow
@pytest.mark.usefixtures("really_started")
def test_both_run_the_same_files(rendered: Render, python: Path) -> None:
    """No module is imported on one side only: there is no second code path."""
    script = "import chassis.serving, json, sys; print(json.dumps(sorted(sys.modules)))"
    imported = [
        json.loads(command(rendered(), python, "shell", typed=script, APP_ENVIRONMENT=side).stdout) for side in SIDES
    ]
    assert imported[0] == imported[1]
    assert "chassis.serving" in imported[0]


def test_only_one_setting_differs(rendered: Render, python: Path) -> None:
    shown: list[dict[str, Any]] = [
        json.loads(command(rendered(), python, "config", "show", "--json", APP_ENVIRONMENT=side).stdout)
        for side in SIDES
    ]
    assert {name for name in shown[0] if shown[0][name] != shown[1][name]} == {"environment"}


def test_what_differs_by_intent_is_that_env_files_and_weak_secrets_are_for_development(
    rendered: Render, python: Path, tmp_path: Path
) -> None:
    service = take_over(Path(shutil.copytree(rendered(), tmp_path / "my-service")))
    (service / ".env").write_text("APP_TOKEN=changeme\nAPP_GREETING=Hi\n", encoding="utf-8")
    in_development = command(service, python, "config", "show", APP_ENVIRONMENT="development")
    in_production = command(service, python, "config", "show", APP_ENVIRONMENT="production")
    assert "APP_GREETING" in in_development.stdout
    assert (in_production.returncode, "APP_GREETING" in in_production.stdout) == (0, False)
    refused = command(service, python, "serve", APP_ENVIRONMENT="production", APP_TOKEN="changeme")  # noqa: S106
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "APP_TOKEN" in refused.stderr


def test_both_are_installed_from_one_lock(rendered: Render, python: Path, tmp_path: Path) -> None:
    """What the image installs is what a developer has, less the tools, to the version and the hash."""
    service = Path(shutil.copytree(rendered(), tmp_path / "my-service"))
    shutil.copy(python.parents[2] / "uv.lock", service)
    export = ("uv", "export", "--frozen", "--quiet", "--no-header", "--no-annotate", "--no-emit-project")
    everything = succeed(*export, cwd=service, env=without_project()).splitlines()
    in_production = succeed(*export, "--no-dev", cwd=service, env=without_project()).splitlines()
    assert "fastapi==" in "\n".join(in_production)
    assert set(in_production) < set(everything)
    groups = tomllib.loads((service / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    assert groups.keys() == {"dev", "hooks"}


def test_the_image_runs_the_command_of_a_developer(rendered: Render) -> None:
    service = rendered()
    dockerfile = (service / "Dockerfile").read_text(encoding="utf-8")
    makefile = (service / "Makefile").read_text(encoding="utf-8")
    assert 'ENTRYPOINT ["python", "-m", "my_service"]\nCMD ["serve"]' in dockerfile
    assert "python -m my_service serve" in makefile
    assert "uv sync --frozen" in dockerfile
