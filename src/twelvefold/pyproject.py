"""A repository's pyproject.toml, as every question about it reads it: with a byte order mark or without."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROJECT = "pyproject.toml"

Table = Mapping[str, Any]


def read(root: Path) -> Table:
    """What the one in `root` says; nothing if there is none, or none that could be read."""
    try:
        return parsed((root / PROJECT).read_bytes())
    except OSError:
        return {}


def parsed(content: bytes) -> Table:
    """What `content` says; nothing if it cannot be read: an update leaves it as it is, and reports it."""
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except ValueError:
        return {}


def table(content: Any, *names: str) -> Table:
    """The table at that key path; an empty one if there is none, whatever else stands there."""
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    return content if isinstance(content, dict) else {}
