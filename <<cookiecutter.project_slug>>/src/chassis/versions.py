"""Which service this is, and which chassis is in it."""

from __future__ import annotations

import json
import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

UNKNOWN = "unknown"


@cache
def service_version(name: str) -> str:
    """The version of the installed distribution `name`, or the one in pyproject.toml beside the source, or unknown."""
    try:
        return version(name)
    except PackageNotFoundError:
        return _version_beside_source()


def chassis_version() -> str:
    """The version of the template that this chassis came with, as the render noted it, or unknown."""
    return str(note().get("version", UNKNOWN))


def note() -> dict[str, Any]:
    """What the render noted in .twelvefold/ of the template and of this service; empty if that is not there."""
    for place in (Path.cwd(), Path(__file__).parents[2]):  # as config/ is found: an image has it where it starts
        file = place / ".twelvefold" / "template.json"
        if file.is_file():
            content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return content
    return {}


def _version_beside_source() -> str:
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    try:
        return str(tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["version"])
    except (OSError, ValueError, KeyError):  # no reason not to start
        return UNKNOWN
