"""V. Build, release, run: built once, released with a configuration, run without being changed."""

from __future__ import annotations

import os
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from commands import run, succeed
from conftest import Render
from environments import CHASSIS_VERSION, without_project
from read_only import read_only
from running import started
from trees import tree

SECRET = "correct-horse-battery"  # noqa: S105 - looked for, and not to be found


@dataclass
class Release:
    """A build that was installed: what an image holds."""

    wheel: Path
    folder: Path
    python: Path


@pytest.fixture(scope="module")
def source(rendered: Render, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service's folder on the machine of a developer, with a lock and secrets of their own."""
    folder = Path(shutil.copytree(rendered(), tmp_path_factory.mktemp("build") / "my-service"))
    succeed("uv", "lock", "--quiet", cwd=folder, env={**without_project(), "UV_PYTHON": str(python.resolve())})
    for name in (".env", "config/.secrets.toml"):
        (folder / name).write_text(f"# {SECRET}\n", encoding="utf-8")
    return folder


def build(source: Path, into: Path) -> Path:
    succeed("uv", "build", "--wheel", "--quiet", "--out-dir", str(into), cwd=source, env=without_project())
    (wheel,) = into.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def release(source: Path, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Release:
    """What the Dockerfile does, without an image: the locked environment, the wheel, the configuration."""
    home = tmp_path_factory.mktemp("release")
    wheel = build(source, home / "dist")
    environment = {
        **without_project(),
        "UV_PYTHON": str(python.resolve()),
        "UV_PROJECT_ENVIRONMENT": str(home / "venv"),
    }
    options = ("--frozen", "--no-dev", "--no-editable", "--no-install-project", "--quiet")
    succeed("uv", "sync", *options, cwd=source, env=environment)
    executable = home / "venv/bin/python"
    succeed("uv", "pip", "install", "--quiet", "--no-deps", "--python", str(executable), str(wheel), cwd=home)
    app = home / "app"
    (app / "config").mkdir(parents=True)
    shutil.copy(source / "config/settings.toml", app / "config")
    return Release(wheel, app, executable)


@pytest.mark.slow
def test_the_wheel_holds_the_code_and_nothing_else(release: Release) -> None:
    with zipfile.ZipFile(release.wheel) as wheel:
        names = wheel.namelist()
        content = b"".join(wheel.read(name) for name in names)
    assert {name.partition("/")[0] for name in names} == {"my_service", "my_service-0.1.0.dist-info"}
    assert SECRET.encode() not in content


@pytest.mark.slow
def test_the_same_source_builds_the_same_bytes(release: Release, source: Path, tmp_path: Path) -> None:
    assert build(source, tmp_path / "again").read_bytes() == release.wheel.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("environment", ["staging", "production"])
def test_one_build_runs_with_many_configurations_and_is_not_changed(
    environment: str, release: Release, tmp_path: Path
) -> None:
    home = release.folder.parent
    before = tree(home)
    command = [*read_only(home), str(release.python), "-I", "-m", "my_service", "serve"]
    variables = {"APP_ENVIRONMENT": environment, "APP_COMMIT": f"c0ffee-{environment}", "PORT": "0"}
    with started(command, folder=release.folder, environment={**variables, "HOME": str(tmp_path)}) as service:
        assert service.get("/api/v1/greeting").status == 200
        metrics = service.get("/metrics").body.decode()
        assert service.stop() == 0
    assert (
        f'app_info{{chassis_version="{CHASSIS_VERSION}",commit="c0ffee-{environment}",version="0.1.0"}} 1.0' in metrics
    )
    assert {(event["environment"], event["version"]) for event in service.events} == {(environment, "0.1.0")}
    assert service.errors == []
    assert tree(home) == before


def test_a_release_really_cannot_be_written_to(release: Release) -> None:
    written = release.folder / "written"
    done = run(*read_only(release.folder.parent), "sh", "-c", f"echo changed > {written}")
    assert done.returncode != 0
    assert not written.exists()


@pytest.mark.slow
def test_a_release_says_what_it_is(release: Release) -> None:
    command = (release.python, "-m", "my_service", "version")
    told = run(*command, cwd=release.folder, env={"APP_COMMIT": "c0ffee", "APP_ENVIRONMENT": "production"})
    assert told.stdout == f"my-service 0.1.0 (commit c0ffee, chassis {CHASSIS_VERSION})\n"


def test_the_run_needs_no_tool_of_the_build(release: Release) -> None:
    inside = {path.name for path in release.python.parent.iterdir()}
    assert not inside & {"uv", "pip", "pytest", "ruff", "mypy"}
    assert not [path for path in release.folder.rglob("*.py") if os.access(path, os.R_OK)]
