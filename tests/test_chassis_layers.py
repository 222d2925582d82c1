"""The contracts of the chassis' rooms, in tests/chassis/pyproject.toml: they hold, and each finds what breaks it."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from pathlib import Path

import grimp
import pytest

from commands import Done, run
from installed import sources

ROOT = Path(__file__).parents[1]
SERVICE = ROOT / "<<cookiecutter.project_slug>>"
CONTRACTS = ROOT / "tests/chassis/pyproject.toml"
NAMES = {
    "nats-py": "nats",
    "pyjwt": "jwt",
    "python-dotenv": "dotenv",
}  # of distributions that are imported under another name
OPTIONAL = {"IPython", "readline"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A service's folder with the chassis and its parts."""
    shutil.copytree(SERVICE / "vendor", tmp_path / "vendor")
    return tmp_path


def judged(service: Path) -> Done:
    path = os.pathsep.join(map(str, sources(service)))
    return run("lint-imports", "--no-cache", CONTRACTS, env={**os.environ, "PYTHONPATH": path})


def test_they_hold() -> None:
    done = judged(SERVICE)
    assert done.returncode == 0, done.stdout
    assert "3 kept, 0 broken" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "line", "said"),
    [
        ("chassis/settings/model.py", "from ..http import errors", "chassis.settings.model -> chassis.http.errors"),
        ("chassis/settings/types.py", "def f():\n    from .explain import shown", ".explain"),
        (
            "chassis/telemetry/context.py",
            "if TYPE_CHECKING:\n    from ..application import Application",
            "chassis.telemetry.context -> chassis.application",
        ),
        ("chassis/process/health.py", "from ..http import limits", "chassis.process.health -> chassis.http.limits"),
        ("chassis/part.py", "import chassis_tasks", "chassis is not allowed to import chassis_tasks"),
        ("chassis_database/pool.py", "def f():\n    import chassis_tasks", "chassis_database.pool -> chassis_tasks"),
        ("chassis_database/pool.py", "from . import part", "No cycles are allowed in chassis_database"),
    ],
)
def test_what_breaks_one_is_named(module: str, line: str, said: str, copy: Path) -> None:
    (file,) = copy.glob(f"vendor/*/src/{module}")
    file.write_text(f"{file.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    done = judged(copy)
    assert done.returncode == 1
    assert said in done.stdout


def test_a_new_module_needs_a_layer(copy: Path) -> None:
    (copy / "vendor/chassis/src/chassis/attic.py").touch()
    assert "chassis.attic" in judged(copy).stdout


@pytest.mark.parametrize("source", sources(SERVICE), ids=lambda source: source.parent.name)
def test_what_is_imported_is_declared(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the chassis imports nothing of a service, whatever that is called."""
    for each in sources(SERVICE):
        monkeypatch.syspath_prepend(each)
    (package,) = [folder.name for folder in source.iterdir() if folder.is_dir()]
    graph = grimp.build_graph(package, include_external_packages=True, cache_dir=None)
    imported = {name.partition(".")[0] for name in graph.modules} - {package} - sys.stdlib_module_names - OPTIONAL
    project = tomllib.loads((source.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert imported <= {_top(requirement) for requirement in project["dependencies"]}


def _top(requirement: str) -> str:
    name = requirement.partition("[")[0].partition(">")[0].partition("=")[0].strip()
    if name.startswith("opentelemetry-"):
        return "opentelemetry"
    return NAMES.get(name.lower(), name.removeprefix("twelvefold-").replace("-", "_").lower())
