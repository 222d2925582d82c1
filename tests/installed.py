"""Distributions that are not installed: their sources are on the path, and so is what they say of themselves."""

from __future__ import annotations

import hashlib
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from packaging.version import Version

GROUP = "twelvefold.parts"


def sources(service: Path) -> list[Path]:
    """The folders with the chassis and the parts that a service has in vendor/."""
    return sorted((service / "vendor").glob("*/src"))


def search_path(service: Path, metadata: Path) -> str:
    """PYTHONPATH for a service that is not installed.

    :param metadata: a folder for what the distributions in vendor/ say of themselves, shared by all services.
    """
    declared = declare(service, metadata)
    return os.pathsep.join(map(str, [service / "src", *sources(service), declared]))


def declare(service: Path, metadata: Path) -> Path:
    """Write what an installer would have written of the distributions in vendor/; return the folder for the path."""
    projects = [_project(source.parent) for source in sources(service)]
    name = hashlib.sha256(repr(projects).encode()).hexdigest()[:16]
    for project in projects:
        parts = project.get("entry-points", {}).get(GROUP, {})
        write_distribution(metadata / name, project["name"], project["version"], parts)
    return metadata / name


def write_distribution(
    folder: Path, name: str, version: str, parts: Mapping[str, str], *, requires: Sequence[str] = ()
) -> None:
    """Write what a distribution says of itself: its version, the kind of each part that it brings, what it requires."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    entries = "".join(f"{part} = {kind}\n" for part, kind in parts.items())
    required = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    _write(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}")
    _write(info / "entry_points.txt", f"[{GROUP}]\n{entries}" if parts else "")


def _write(path: Path, text: str) -> None:
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    beside = path.with_suffix(f".{os.getpid()}")  # others read while this is written
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def _project(home: Path) -> dict[str, Any]:
    project = tomllib.loads((home / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {**project, "version": str(Version(project["version"]))}  # as installers write it
