"""Where a repository's packages lie, as its build backend finds them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from twelvefold.errors import RefusedError

SAID = ("packages", "py-modules", "package-dir")


def refuse_flat_layout(root: Path, rendered: Iterable[str]) -> None:
    """Raise RefusedError if setuptools would take a folder that was rendered for a package of the repository's.

    It looks for packages itself where nothing names them, and refuses to build two in a flat layout:
    https://setuptools.pypa.io/en/latest/userguide/package_discovery.html#flat-layout
    """
    if not any(path.startswith("vendor/") for path in rendered) or not _is_flat(root):
        return
    own = sorted(path.parent.name for path in root.glob("*/__init__.py") if path.parent.name != "tests")
    include = ", ".join(f'"{name}*"' for name in own) or '"your_package*"'
    table = f"[tool.setuptools.packages.find]\ninclude = [{include}]"
    raise RefusedError(
        "setuptools looks for this repository's packages by itself, and would take vendor/ for one. Say in "
        f"pyproject.toml which are yours, commit, and adopt again:\n\n{table}"
    )


def _is_flat(root: Path) -> bool:
    pyproject = _read(root / "pyproject.toml")
    if "project" not in pyproject:
        return False
    backend = str(pyproject.get("build-system", {}).get("build-backend", "setuptools"))  # what PEP 517 makes of none
    named = pyproject.get("tool", {}).get("setuptools", {}).keys() & set(SAID)
    return backend.startswith("setuptools") and not named and not (root / "src").is_dir() and not _is_said(root)


def _is_said(root: Path) -> bool:
    """Whether the files from before pyproject.toml name the packages."""
    files = [file for name in ("setup.py", "setup.cfg") if (file := root / name).is_file()]
    text = "".join(file.read_text(encoding="utf-8", errors="replace") for file in files)
    return bool(re.search(r"^[^#]*\b(packages|py_modules)\s*=", text, re.MULTILINE))


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # reported where it is merged
        return {}
