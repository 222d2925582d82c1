"""Trees of files, compared whole."""

from __future__ import annotations

from pathlib import Path


def tree(root: Path, below: str = "") -> dict[str, tuple[int, bytes]]:
    """Map each file's path to its mode and bytes, without what git and make keep there."""
    return {
        path.relative_to(root).as_posix(): (path.stat().st_mode & 0o777, path.read_bytes())
        for path in sorted((root / below).rglob("*"))
        if path.is_file() and not {".git", ".venv", "__pycache__"} & set(path.relative_to(root).parts)
    }
