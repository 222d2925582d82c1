"""The formats that a merged file may have: entry points, so that any installed package can add one.

The group is `twelvefold.formats`; the name is the word that scaraplate.yaml writes after `format:`, and the value is an
object or a module with `load` and `conform` (`merging.Format`), or with `merge` (`merging.OwnMerge`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from twelvefold.strategies.merging import Format, OwnMerge
from twelvefold.strategies.rules import BadRulesError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

# importlib.metadata is imported where it is used: it takes a tenth of a run that finds nothing to merge.
GROUP = "twelvefold.formats"


@lru_cache
def format_named(name: str) -> Format | OwnMerge:
    """The format that scaraplate.yaml calls `name`; of two with that name, the one of this package.

    Raises BadRulesError, with the formats that there are, if no package or more than one has it, or if it cannot be
    used.
    """
    found = _ours(name) or _of_others(name)
    try:
        form = found.load()
    except Exception as error:  # a package of somebody else's raises what it likes when it is imported
        raise BadRulesError(f"format {name}, which is {_origin(found)}, cannot be imported: {error}.") from error
    if not isinstance(form, (Format, OwnMerge)):
        raise BadRulesError(f"format {name}, which is {_origin(found)}, needs load and conform, or merge.")
    return form


def names() -> list[str]:
    """The names of all formats that are installed, in alphabetical order."""
    return sorted({point.name for point in _installed()})


def _ours(name: str) -> EntryPoint | None:
    """Read from this package alone: reading all that are installed takes the time of a small rollup."""
    from importlib.metadata import distribution

    return next(iter(distribution("twelvefold").entry_points.select(group=GROUP, name=name)), None)


def _installed() -> EntryPoints:
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)


def _of_others(name: str) -> EntryPoint:
    # The same one is found twice if a package is installed twice on the path.
    points = {point.value: point for point in _installed().select(name=name)}
    if not points:
        raise BadRulesError(
            f"format must be one of {', '.join(names())}; it is {name!r}. If a package of your own has it, run "
            "with it: uvx --with PACKAGE …"
        )
    if len(points) > 1:
        origins = " and as ".join(sorted(map(_origin, points.values())))
        raise BadRulesError(f"format {name} is there more than once, as {origins}. Uninstall one of the packages.")
    return next(iter(points.values()))


def _origin(point: EntryPoint) -> str:
    return f"{point.value} of {point.dist.name}" if point.dist else point.value
