"""Proves by its hashes that the chassis in vendor/ is what the template rendered, and has tested: `make vendored`.

Reads nothing but `.twelvefold/manifest.json`, pyproject.toml and vendor/, and of that only the distributions that the
manifest names. Exits with 1, and names each path that differs, if one does.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

VENDOR = Path("vendor")
MANIFEST = Path(".twelvefold/manifest.json")
PROJECT = Path("pyproject.toml")
TAKEN_FROM_VENDOR = re.compile(r"""^[^#\n]*\bpath\s*=\s*["']vendor/chassis["']""", re.MULTILINE)
# What tools leave in the folder of a distribution; git ignores them. Deeper, they could be a part of the package.
LEFT = {".mypy_cache", ".pytest_cache", ".ruff_cache", "build", "dist"}


def differences(manifest: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A sentence for each file of a distribution in vendor/ that is not as the manifest has it."""
    known = {path: entry for path, entry in manifest.items() if path.startswith(f"{VENDOR}/")}
    if not any(path.startswith(f"{VENDOR}/chassis/") for path in known) and is_taken_from_vendor():
        yield f"{PROJECT} takes the chassis from {VENDOR}/chassis, of which {MANIFEST} has no file"
    homes = {VENDOR / path.split("/")[1] for path in known}
    found = [path for home in homes for path in (home, *home.rglob("*")) if is_source(path)]
    there = {path.as_posix(): path for path in found}
    for path, entry in known.items():
        if path not in there:
            yield f"{path} is missing"
        elif there[path].is_symlink() or hashlib.sha256(there[path].read_bytes()).hexdigest() != entry["sha256"]:
            yield f"{path} was changed"
        elif is_executable(int(entry["mode"], 8)) != is_executable(there[path].stat().st_mode):
            yield f"{path} has another mode than {entry['mode']}"
    for path in there.keys() - known.keys():
        yield f"{path} is not the template's"


def is_taken_from_vendor() -> bool:
    return PROJECT.is_file() and bool(TAKEN_FROM_VENDOR.search(PROJECT.read_text(encoding="utf-8")))


def is_executable(mode: int) -> bool:
    """Whether a file with this mode is executable to git, which knows of no other bit."""
    return bool(mode & 0o100)


def is_source(path: Path) -> bool:
    """Whether a path is a file, or a link, that is not made from others."""
    return not is_made(path.parts[2:]) and (path.is_symlink() or path.is_file())


def is_made(parts: tuple[str, ...]) -> bool:
    """Whether tools make what has this path below the folder of a distribution."""
    return bool(LEFT & {*parts[:1]}) or any(part == "__pycache__" or part.endswith(".egg-info") for part in parts)


def main() -> None:
    try:
        manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"{MANIFEST} cannot be read: {error}. `make update` writes it anew.")
    if found := sorted(differences(manifest)):
        advice = "`make update` puts back what was changed. What is not the template's is yours to move, into src/."
        sys.exit("\n".join([*found, advice]))


if __name__ == "__main__":
    main()
