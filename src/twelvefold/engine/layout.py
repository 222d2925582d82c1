"""Where a repository's packages lie, as its build backend finds them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from twelvefold import pyproject
from twelvefold.errors import RefusedError

SAID = ("packages", "py-modules", "package-dir")


def refuse_flat_layout(root: Path, rendered: Iterable[str]) -> None:
    """Raise RefusedError if setuptools would take a folder that was rendered for a package of the repository's.

    It looks for packages itself where nothing names them, and refuses to build two in a flat layout:
    https://setuptools.pypa.io/en/latest/userguide/package_discovery.html#flat-layout
    """
    if _brings_vendor(rendered) and _backend(root).startswith("setuptools") and _looks_itself(root):
        advice = f"Say in pyproject.toml which are yours, commit, and adopt again:{_table(root)}"
        raise RefusedError(f"{_problem(root)} {advice}")


def note_flat_layout(root: Path, rendered: Iterable[str]) -> list[str]:
    """The same as a note, where no backend is named: setuptools is asked if somebody builds the repository at all."""
    if _brings_vendor(rendered) and (root / "pyproject.toml").is_file() and not _backend(root) and _looks_itself(root):
        return [f"{_problem(root)} If you build it, say in pyproject.toml which are yours:{_table(root)}"]
    return []


def _brings_vendor(rendered: Iterable[str]) -> bool:
    return any(path.startswith("vendor/") for path in rendered)


def _problem(root: Path) -> str:
    return f"setuptools looks for the packages of {root.name} by itself, and would take vendor/ for one."


def _table(root: Path) -> str:
    own = sorted(path.parent.name for path in root.glob("*/__init__.py") if path.parent.name != "tests")
    include = ", ".join(f'"{name}*"' for name in own) or '"your_package*"'
    return f"\n\n[tool.setuptools.packages.find]\ninclude = [{include}]"


def _backend(root: Path) -> str:
    return str(pyproject.table(pyproject.read(root), "build-system").get("build-backend", ""))


def _looks_itself(root: Path) -> bool:
    named = pyproject.table(pyproject.read(root), "tool", "setuptools").keys() & set(SAID)
    return not named and not (root / "src").is_dir() and not _is_said(root)


def _is_said(root: Path) -> bool:
    """Whether the files from before pyproject.toml name the packages."""
    files = [file for name in ("setup.py", "setup.cfg") if (file := root / name).is_file()]
    text = "".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
    return bool(re.search(r"^[^#]*\b(packages|py_modules)\s*=", text, re.MULTILINE))
