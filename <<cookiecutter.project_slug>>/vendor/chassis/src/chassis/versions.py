"""Which service this is, and which chassis is in it."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .source import homes

UNKNOWN = "unknown"


@cache
def service_version(name: str, *, package: str) -> str:
    """The version of the installed distribution `name`, or the one in pyproject.toml beside `package`, or unknown."""
    try:
        return version(name)
    except PackageNotFoundError:
        return next(filter(None, map(_version_in, homes(package))), UNKNOWN)


@cache
def chassis_version() -> str:
    """The version of the chassis, which is that of the template it came with, or unknown if it is not installed."""
    try:
        return version("twelvefold-chassis").partition("+")[0]
    except PackageNotFoundError:
        return UNKNOWN


def _version_in(home: Path) -> str:
    import tomllib  # which an installed service needs for nothing

    try:
        return str(tomllib.loads((home / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])
    except (OSError, ValueError, KeyError):  # no reason not to start
        return ""
