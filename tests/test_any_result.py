"""Whatever a task returns or raises, it runs once. hypothesis is no dependency of a service, so it is lent to one."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

from commands import run
from environments import CHASSIS_TESTS, chassis_path, without_project


@pytest.fixture
def lent(tmp_path: Path) -> Path:
    """A folder with hypothesis, and nothing else of this environment."""
    packages = Path(hypothesis.__file__).parents[1]
    for found in [*packages.glob("*hypothesis*"), packages / "sortedcontainers"]:
        if found.suffix != ".dist-info":
            (tmp_path / found.name).symlink_to(found)
    return tmp_path


@pytest.mark.slow
def test_whatever_a_task_returns_or_raises_it_runs_once(python: Path, lent: Path) -> None:
    examples = os.environ.get("HYPOTHESIS_EXAMPLES", "100")
    path = chassis_path(lent, CHASSIS_TESTS)
    env = {**without_project(), "PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(lent / "pycache")}
    done = run(python, Path(__file__).with_name("any_result.py"), examples, cwd=lent, env=env)
    assert done.returncode == 0, done.stderr[-5000:]
