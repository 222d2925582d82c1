"""The template's own repository is held to the hooks and the style of its services."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import style
from commands import Done, run
from conftest import Render
from environments import TEMPLATE, without_project


def hooks_of(folder: Path) -> dict[str, dict[str, Any]]:
    config = yaml.safe_load((folder / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    return {hook["id"]: hook for repo in config["repos"] for hook in repo["hooks"]}


def test_its_hooks_are_those_of_its_services(rendered: Render) -> None:
    services = [hooks_of(rendered(ci=ci)) for ci in ("gitlab", "github", "jenkins")]
    expected = {id_: hook for hooks in services for id_, hook in hooks.items()}
    for id_ in ("ruff-check", "ruff-format"):  # the pyproject.toml nearest to some files is no TOML yet
        expected[id_] = {**expected[id_], "entry": f"{expected[id_]['entry']} --config pyproject.toml"}
    assert hooks_of(TEMPLATE) == expected


@pytest.fixture(scope="module")
def written() -> Path:
    style.main()
    return style.STYLE


@pytest.fixture
def copy(written: Path, tmp_path: Path) -> Path:
    """What nitpick looks at."""
    for name in ("pyproject.toml", ".pre-commit-config.yaml", ".nitpick.toml", "twelvefold_answers.py"):
        shutil.copy(TEMPLATE / name, tmp_path)
    (tmp_path / ".cache").mkdir()
    shutil.copy(written, tmp_path / ".cache")
    return tmp_path


def nitpick(folder: Path) -> Done:
    return run(Path(sys.executable).parent / "nitpick", "check", cwd=folder, env=without_project())


def test_its_settings_are_as_strict_as_its_services(copy: Path) -> None:
    done = nitpick(copy)
    assert "No violations" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("strict = true", "strict = false", "strict"),
        ('"S", "SIM"', '"SIM"', "select"),
        ('  "error",\n', "", "filterwarnings"),
    ],
)
def test_it_notices_when_they_are_loosened(old: str, new: str, said: str, copy: Path) -> None:
    text = (copy / "pyproject.toml").read_text(encoding="utf-8")
    assert old in text
    (copy / "pyproject.toml").write_text(text.replace(old, new), encoding="utf-8")
    done = nitpick(copy)
    assert done.returncode == 1
    assert said in done.stdout
