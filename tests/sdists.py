"""Files as people write them: those in source distributions, fetched once into .cache/sdists."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[1] / ".cache" / "sdists"
PINNED = [
    "alembic==1.13.0",
    "flake8==6.0.0",
    "importlib-metadata==4.12.0",
    "jaraco.functools==3.5.0",
    "platformdirs==3.0.0",
    "pytest-cov==4.0.0",
    "python-dotenv==0.20.0",
    "tqdm==4.64.0",
    "virtualenv==20.23.0",
    "zipp==3.8.0",
]
PIP = ["uvx", "pip", "download", "--quiet", "--no-binary", ":all:", "--no-deps", "--dest", str(CACHE)]


def texts(*patterns: str) -> list[tuple[str, str]]:
    """Path and text of each file in the distributions whose path fits a pattern; skips where there is no index."""
    _fetch()
    return [
        (path, text)
        for archive in map(_archive, PINNED)
        for path, text in _members(archive)
        if any(fnmatch(path, pattern) for pattern in patterns)
    ]


@cache
def _fetch() -> None:
    missing = [one for one in PINNED if not _archive(one).exists()]
    if not missing:
        return
    CACHE.mkdir(parents=True, exist_ok=True)
    got = subprocess.run([*PIP, *missing], capture_output=True, text=True, check=False)
    if got.returncode and os.environ.get("REQUIRE_TOOLS") != "1":
        pytest.skip(f"the package index cannot be reached: {got.stderr[-200:]}")
    assert got.returncode == 0, got.stderr


def _archive(pinned: str) -> Path:
    """Older distributions have the name as it is, newer ones normalised."""
    name, version = pinned.split("==")
    plain = CACHE / f"{name}-{version}.tar.gz"
    return plain if plain.exists() else CACHE / f"{name.replace('-', '_')}-{version}.tar.gz"


def _members(archive: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(archive) as opened:
        for member in opened:
            content = opened.extractfile(member) if member.isfile() else None
            if content is not None and member.size < 200_000:
                yield member.name, content.read().decode("utf-8", "replace").removeprefix("\ufeff")
