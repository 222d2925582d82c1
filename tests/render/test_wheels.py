"""The wheels that `make build` makes of a service: all that it cannot have from an index, and nobody else's."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from commands import run, succeed
from conftest import Render
from environments import CHASSIS_VERSION, without_project
from index_server import PASSWORD, USER, index

STRANGER = """
[project]
name = "twelvefold-chassis"
version = "{version}"
[build-system]
requires = ["uv_build>=0.9,<0.14"]
build-backend = "uv_build"
[tool.uv.build-backend]
module-name = "chassis"
"""


@pytest.fixture(scope="module")
def wheels(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    service = Path(shutil.copytree(rendered(tasks=True), tmp_path_factory.mktemp("wheels") / "my-service"))
    succeed("make", "build", cwd=service, env=without_project())
    return service / "dist"


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An empty one, with pip."""
    succeed(sys.executable, "-m", "venv", tmp_path / "venv")
    return tmp_path / "venv/bin/pip"


def stranger(folder: Path, version: str) -> None:
    """Somebody's wheel in an index, of the name that the chassis has."""
    (folder / "src/chassis").mkdir(parents=True)
    (folder / "src/chassis/__init__.py").write_text("raise SystemExit('a stranger')\n", encoding="utf-8")
    (folder / "pyproject.toml").write_text(STRANGER.format(version=version), encoding="utf-8")
    succeed("uv", "build", "--wheel", "--quiet", "--out-dir", folder.parent, cwd=folder)


@pytest.mark.slow
def test_they_are_enough_to_run_it(wheels: Path, environment: Path) -> None:
    succeed(environment, "install", "--quiet", "--find-links", wheels, "my-service")
    python = environment.with_name("python")
    variables = {**without_project(), "APP_CONFIG_DIR": str(wheels.parent / "config")}
    told = succeed(python, "-I", "-m", "my_service", "version", cwd=environment.parent, env=variables)
    assert told == f"my-service 0.1.0 (chassis {CHASSIS_VERSION})\n"


@pytest.mark.slow
@pytest.mark.parametrize("version", ["99.0", CHASSIS_VERSION])
def test_a_stranger_s_package_of_that_name_is_never_taken(
    version: str, wheels: Path, environment: Path, tmp_path: Path
) -> None:
    stranger(tmp_path / "index/stranger", version)
    (service,) = wheels.glob("my_service-*.whl")
    with index(tmp_path / "index") as address:
        there = address.replace("//", f"//{USER}:{PASSWORD}@")
        done = run(environment, "install", "--no-input", "--index-url", there, service)
        wanted = run(environment, "install", "--quiet", "--index-url", there, "twelvefold-chassis")
    assert wanted.returncode == 0, wanted.stderr  # the control: it is there to be taken
    assert done.returncode != 0
    assert "twelvefold-chassis" in done.stderr
