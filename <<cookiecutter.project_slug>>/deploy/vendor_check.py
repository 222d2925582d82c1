"""Proves by its hashes that the chassis in vendor/ is what the template rendered, and has tested: `make vendored`.

Reads nothing but `.twelvefold/manifest.json` and vendor/, and of that only the distributions that the manifest names.
Exits with 1, and with each path that is another, if one is.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

VENDOR = Path("vendor")
MANIFEST = Path(".twelvefold/manifest.json")
# What Python and tools leave beside sources; git ignores them.
LEFT = {"__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache", "build", "dist"}


def differences(manifest: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """A sentence for each file of a distribution in vendor/ that is not as the manifest has it."""
    known = {path: entry["sha256"] for path, entry in manifest.items() if path.startswith(f"{VENDOR}/")}
    homes = {VENDOR / path.split("/")[1] for path in known}
    found = [path for home in homes for path in (home, *home.rglob("*")) if is_source(path)]
    there = {path.as_posix(): path for path in found}
    for path, sha256 in known.items():
        if path not in there:
            yield f"{path} is missing"
        elif there[path].is_symlink() or hashlib.sha256(there[path].read_bytes()).hexdigest() != sha256:
            yield f"{path} was changed"
    for path in there.keys() - known.keys():
        yield f"{path} is not the template's"


def is_source(path: Path) -> bool:
    """Whether a path is a file, or a link, that is not made from others."""
    made = LEFT & {*path.parts} or any(part.endswith(".egg-info") for part in path.parts)
    return not made and (path.is_symlink() or path.is_file())


def main() -> None:
    try:
        manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"{MANIFEST} cannot be read: {error}. `make update` writes it anew.")
    if found := sorted(differences(manifest)):
        advice = "`make update` puts back what the template rendered; what your service does goes into src/."
        sys.exit("\n".join([*found, advice]))


if __name__ == "__main__":
    main()
