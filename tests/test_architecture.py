"""What holds for all modules of src/twelvefold together."""

from __future__ import annotations

import ast
import shutil
from collections import Counter
from pathlib import Path

import pytest

import twelvefold
from commands import Done, run
from environments import TEMPLATE

MODULES = sorted(Path(twelvefold.__file__).parent.rglob("*.py"))


def test_each_class_has_a_name_of_its_own() -> None:
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in MODULES]
    names = Counter(node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef))
    assert len(names) > 100
    assert [name for name, count in names.items() if count > 1] == []


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The package and what is said about its layers, to be changed."""
    shutil.copytree(TEMPLATE / "src/twelvefold", tmp_path / "twelvefold", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TEMPLATE / "pyproject.toml", tmp_path)
    return tmp_path


def linted(folder: Path, contract: str) -> Done:
    return run("lint-imports", "--no-logo", "--no-cache", "--contract", contract, cwd=folder)


@pytest.mark.parametrize("contract", ["acyclic", "layers", "engine"])
def test_nothing_imports_what_is_above_it(contract: str, copy: Path) -> None:
    done = linted(copy, contract)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [
        ("acyclic", "git.py", "def late() -> None:\n    from twelvefold.service import Service\n"),
        ("acyclic", "latch.py", "from twelvefold.strategies import files\n"),
        ("acyclic", "fleet/results.py", "def late() -> None:\n    from twelvefold.fleet import page\n"),
        ("layers", "console.py", "def late() -> None:\n    import twelvefold.cli\n"),
        ("layers", "engine/rollup.py", "from twelvefold.fleet import config\n"),
        ("engine", "engine/status.py", "from twelvefold.engine.report import Report\n"),
        ("layers", "new.py", "NEW = 1\n"),
    ],
)
def test_what_does_is_found(contract: str, module: str, line: str, copy: Path) -> None:
    """Also where only a function does it, and where folders make the circle that their modules do not."""
    with (copy / "twelvefold" / module).open("a", encoding="utf-8") as file:
        file.write(line)
    done = linted(copy, contract)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "BROKEN" in done.stdout
