"""Which service this is, and which chassis is in it."""

from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version

from .source import homes, project

UNKNOWN = "unknown"


@cache
def service_version(name: str, *, package: str) -> str:
    """The version of the installed distribution `name`, or the one in pyproject.toml beside `package`, or unknown."""
    try:
        return version(name)
    except PackageNotFoundError:
        return next(_versions_beside(package), UNKNOWN)


@cache
def chassis_version() -> str:
    """The version of the chassis, which is that of the template it came with, or unknown if it is not installed."""
    try:
        return version("twelvefold-chassis").partition("+")[0]
    except PackageNotFoundError:
        return UNKNOWN


def _versions_beside(package: str) -> Iterator[str]:
    return (str(said) for home in homes(package) if (said := project(home).get("version")))
