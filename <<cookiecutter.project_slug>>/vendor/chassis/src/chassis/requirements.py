"""What the distribution of this service requires, of those that are installed."""

import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions

from .source import homes, project


def normalized(name: str) -> str:
    """The name of a distribution as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def required(module: str) -> frozenset[str] | None:
    """The normalized names of all that the distribution with `module` requires, and what those require.

    None if no distribution with it is installed: a service may be on the path alone.

    :param module: a module of the team's, which is imported.
    """
    holder = _holder(module)
    return None if holder is None else frozenset(_all_required(holder))


def _all_required(holder: Distribution) -> set[str]:
    names: set[str] = set()
    left = [holder]
    while left:
        new = {*_required(left.pop())} - names
        names |= new
        left += filter(None, map(_named, new))
    return names


def _required(one: Distribution) -> Iterator[str]:
    # Those of extras and of other platforms, too: what they name is no surprise here.
    for requirement in one.requires or ():
        if name := re.match(r"[\w.-]+", requirement):
            yield normalized(name[0])


def _holder(module: str) -> Distribution | None:
    # One that is installed to be edited lists no module, but its pyproject.toml is near.
    names = [name for home in homes(module) if (name := project(home).get("name"))]
    return next(filter(None, map(_named, names)), None) or _with_file_of(module)


def _with_file_of(module: str) -> Distribution | None:
    path = module.replace(".", "/")
    files = re.compile(rf"^{re.escape(path)}(/__init__)?\.py,", re.MULTILINE)
    return next((each for each in distributions() if files.search(each.read_text("RECORD") or "")), None)


def _named(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None
