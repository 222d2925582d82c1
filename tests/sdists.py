"""Files as people write them: those in source distributions, each fetched once into .cache/sdists."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import urllib.request
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import urljoin

from filelock import FileLock
from packaging.utils import canonicalize_name, parse_sdist_filename

from required import missing

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
INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/")
JSON = {"Accept": "application/vnd.pypi.simple.v1+json"}


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
            try:
                content = _download(pin)
            except OSError as error:
                missing(f"{pin} of {INDEX}: {error}")
            draft = archive.with_suffix(".part")
            draft.write_bytes(content)
            draft.rename(archive)
    return archive


def _download(pin: str) -> bytes:
    """Straight from the index: `pip download` builds each distribution first, to know what it depends on."""
    name, _, version = pin.partition("==")
    project = json.loads(_get(f"{INDEX}/{canonicalize_name(name)}/"))
    file = next(one for one in project["files"] if _is_sdist(one["filename"], version))
    content = _get(urljoin(f"{INDEX}/{name}/", file["url"]))
    assert hashlib.sha256(content).hexdigest() == file["hashes"]["sha256"], pin
    return content


def _get(url: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=JSON), timeout=60) as response:
        return bytes(response.read())


def _is_sdist(filename: str, version: str) -> bool:
    return filename.endswith(".tar.gz") and str(parse_sdist_filename(filename)[1]) == version


def _members(archive: Path) -> Iterator[tuple[str, str]]:
    with tarfile.open(archive) as opened:
        for member in opened:
            content = opened.extractfile(member) if member.isfile() else None
            if content is not None and member.size < 200_000:
                yield member.name, content.read().decode("utf-8", "replace").removeprefix("\ufeff")
