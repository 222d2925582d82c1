from __future__ import annotations

from pathlib import Path

import pytest

from commands import run
from environments import without_project
from histories import write
from twelvefold.engine.layout import note_flat_layout, refuse_flat_layout
from twelvefold.errors import RefusedError

FLAT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "billing"
version = "1"
"""
RENDERED = ["Makefile", "vendor/chassis/pyproject.toml"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, "pyproject.toml", FLAT)
    write(tmp_path, "billing/__init__.py", "")
    write(tmp_path, "tests/__init__.py", "")
    return tmp_path


def test_it_is_refused_with_what_to_type(root: Path) -> None:
    with pytest.raises(RefusedError, match=r'\[tool\.setuptools\.packages\.find\]\ninclude = \["billing\*"\]'):
        refuse_flat_layout(root, RENDERED)


def test_it_is_refused_with_a_byte_order_mark_too(root: Path) -> None:
    write(root, "pyproject.toml", f"\ufeff{FLAT}")
    with pytest.raises(RefusedError, match=r"vendor/"):
        refuse_flat_layout(root, RENDERED)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pyproject.toml", "build-system = 1\ntool = 2\n"),
        ("pyproject.toml", f'{FLAT}[tool.setuptools.packages.find]\ninclude = ["billing*"]\n'),
        ("pyproject.toml", f'{FLAT}[tool.setuptools]\npackages = ["billing"]\n'),
        ("pyproject.toml", FLAT.replace("setuptools", "hatchling")),
        ("pyproject.toml", "[broken"),
        ("setup.cfg", "[options]\npackages = find:\n"),
        ("setup.py", "from setuptools import setup\nsetup(packages=['billing'])\n"),
        ("src/billing/__init__.py", ""),
    ],
)
def test_what_finds_its_packages_all_the_same_is_not(path: str, text: str, root: Path) -> None:
    write(root, path, text)
    refuse_flat_layout(root, RENDERED)


def test_a_comment_names_no_packages(root: Path) -> None:
    write(root, "setup.cfg", "# packages = find:\n")
    with pytest.raises(RefusedError, match="vendor/"):
        refuse_flat_layout(root, RENDERED)


def test_where_nothing_says_what_builds_it_is_a_note(root: Path) -> None:
    """Most of these are never built; then setuptools is what builds them."""
    assert note_flat_layout(root, RENDERED) == []
    write(root, "pyproject.toml", "[project]\nname = 'billing'\nversion = '1'\n")
    refuse_flat_layout(root, RENDERED)
    (note,) = note_flat_layout(root, RENDERED)
    assert 'include = ["billing*"]' in note
    assert note_flat_layout(root, ["Makefile"]) == []


def test_without_vendor_there_is_nothing_to_mistake(root: Path) -> None:
    refuse_flat_layout(root, ["Makefile"])


@pytest.mark.slow
def test_setuptools_does_what_is_said_of_it(root: Path) -> None:
    build = ("uv", "build", "--wheel", "--out-dir", root / "dist", root)
    assert run(*build, env=without_project()).returncode == 0
    write(root, "vendor/chassis/src/chassis/__init__.py", "")
    refused = run(*build, env=without_project())
    assert refused.returncode != 0
    said = " ".join(refused.stderr.split())  # uv breaks its lines
    assert "Multiple top-level packages discovered in a flat-layout" in said
    write(root, "pyproject.toml", f'{FLAT}[tool.setuptools.packages.find]\ninclude = ["billing*"]\n')
    assert run(*build, env=without_project()).returncode == 0
