"""docs/architecture.md: its pictures are those of the imports, and what it names is there."""

from __future__ import annotations

import ast
import re
import shutil
import sys
from pathlib import Path

import pytest

from commands import Done, run, succeed
from environments import TEMPLATE

PAGE = "docs/architecture.md"
SERVICE = TEMPLATE / "<<cookiecutter.project_slug>>"
SOURCES = [TEMPLATE / "src", *sorted((SERVICE / "vendor").glob("*/src"))]
PACKAGES = {file.parent.name for source in SOURCES for file in source.glob("*/__init__.py")}
NAMED = re.compile(r"`([\w./-]+)`")
FILE = re.compile(r".*\.(lock|md|py|toml|yaml)|[^/]+/.*")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What the pictures are made from, and the page, to be changed."""
    shutil.copytree(TEMPLATE / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(SERVICE / "vendor", tmp_path / "vendor", ignore=shutil.ignore_patterns("__pycache__"))
    for name in (PAGE, "scripts/map.py"):
        (tmp_path / name).parent.mkdir()
        shutil.copy(TEMPLATE / name, tmp_path / name)
    return tmp_path


def check(folder: Path) -> Done:
    return run(sys.executable, "scripts/map.py", "--check", cwd=folder)


def add(folder: Path, module: str, line: str) -> None:
    (file,) = [*folder.glob(f"src/{module}"), *folder.glob(f"vendor/*/src/{module}")]
    file.write_text(f"{file.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")


def test_the_pictures_are_up_to_date() -> None:
    done = check(TEMPLATE)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("twelvefold/git_remote.py", "from twelvefold import git"),
        ("twelvefold/latch.py", "def late():\n    from twelvefold.git import git"),
        ("twelvefold/engine/hidden.py", "from twelvefold.engine import template"),
        ("chassis/heap.py", "from . import versions"),
        ("chassis_auth/keys.py", "if TYPE_CHECKING:\n    import chassis_tasks"),
    ],
)
def test_a_new_import_is_found_and_then_drawn(module: str, line: str, copy: Path) -> None:
    assert check(copy).returncode == 0
    add(copy, module, line)
    before = (copy / PAGE).read_bytes()
    done = check(copy)
    assert (done.returncode, done.stdout) == (1, "")
    assert "make map" in done.stderr
    assert (copy / PAGE).read_bytes() == before
    succeed(sys.executable, "scripts/map.py", cwd=copy)
    assert check(copy).returncode == 0
    assert (copy / PAGE).read_bytes() != before


@pytest.mark.parametrize("name", ["src/twelvefold/attic.py", "vendor/chassis/src/chassis/attic/__init__.py"])
def test_so_is_a_new_room(name: str, copy: Path) -> None:
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).touch()
    assert check(copy).returncode == 1
    succeed(sys.executable, "scripts/map.py", cwd=copy)
    assert "attic" in (copy / PAGE).read_text(encoding="utf-8")


def test_an_import_that_others_imply_is_not_drawn(copy: Path) -> None:
    add(copy, "twelvefold/cli.py", "import twelvefold.git")
    assert check(copy).returncode == 0


def test_a_circle_is_named(copy: Path) -> None:
    """With a circle, there would be no saying which arrows the others imply."""
    add(copy, "twelvefold/console.py", "import twelvefold.errors")
    done = check(copy)
    assert done.returncode == 1
    assert "circle" in done.stderr
    assert {"twelvefold.console", "twelvefold.errors"} <= set(re.findall(r"[\w.]+\w", done.stderr))
    assert "Traceback" not in done.stderr


def test_what_the_page_names_is_there() -> None:
    names = named((TEMPLATE / PAGE).read_text(encoding="utf-8"))
    assert len(names) > 60
    assert [name for name in names if not is_there(name)] == []


@pytest.mark.parametrize(
    "name", ["src/attic", "attic/", "attic.toml", "twelvefold.attic", "twelvefold.memory.Attic", "chassis.http.attic"]
)
def test_what_is_not_there_would_be_found(name: str) -> None:
    assert named(f"It is in `{name}`.") == [name]
    assert not is_there(name)


def named(text: str) -> list[str]:
    """What a page names of files and modules."""
    return sorted({name for name in NAMED.findall(text) if FILE.fullmatch(name) or name.partition(".")[0] in PACKAGES})


def is_there(name: str) -> bool:
    if not FILE.fullmatch(name):
        return any(_is_in(source, name.split(".")) for source in SOURCES)
    places = (TEMPLATE, SERVICE / "vendor/chassis/src/chassis")
    return any((place / name).exists() for place in places)


def _is_in(source: Path, names: list[str]) -> bool:
    module = source.joinpath(*names)
    if module.with_suffix(".py").is_file() or (module / "__init__.py").is_file():
        return True
    package = module.parent / "__init__.py"
    return len(names) > 1 and names[-1] in _defined(package if package.is_file() else module.parent.with_suffix(".py"))


def _defined(file: Path) -> set[str]:
    if not file.is_file():
        return set()
    body = ast.parse(file.read_text(encoding="utf-8")).body
    imported = {alias.name for node in body if isinstance(node, ast.ImportFrom) for alias in node.names}
    return imported | {node.name for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
