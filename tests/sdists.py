"""Files as people write them: those in source distributions, each fetched once into .cache/sdists."""

from __future__ import annotations

import os
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from filelock import FileLock

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
PIP = ["uvx", "pip", "download", "--quiet", "--retries=1", "--no-deps"]


def texts(*patterns: str, pins: Sequence[str] = PINNED) -> list[tuple[str, str]]:
    """Path and text of each file in the distributions whose path fits a pattern; skips where there is no index."""
    return [
        (path, text)
        for archive in map(_fetched, pins)
        for path, text in _members(archive)
        if any(fnmatch(path, pattern) for pattern in patterns)
    ]


def _fetched(pin: str) -> Path:
    """The archive, under a name that does not depend on how its project writes its own."""
    archive = CACHE / f"{pin}.tar.gz"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / f"{pin}.lock"):
        if not archive.exists():
            with TemporaryDirectory(dir=CACHE) as folder:
                name = pin.partition("==")[0]
                command = [*PIP, "--no-binary", name, "--dest", folder, pin]
                got = subprocess.run(command, capture_output=True, text=True, check=False)
                if got.returncode and os.environ.get("REQUIRE_TOOLS") != "1":
                    pytest.skip(f"{pin} cannot be fetched from the package index: {got.stderr[-200:]}")
                assert got.returncode == 0, got.stderr
                next(Path(folder).iterdir()).rename(archive)
    return archive


def _members(archive: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(archive) as opened:
        for member in opened:
            content = opened.extractfile(member) if member.isfile() else None
            if content is not None and member.size < 200_000:
                yield member.name, content.read().decode("utf-8", "replace").removeprefix("\ufeff")
