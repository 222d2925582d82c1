"""The parts of this service: which are installed, and where the team's package has put them together.

A distribution brings a part by an entry point in the group `twelvefold.parts`: its name is the part's, and it names the
kind, a subclass of `Part`. What is not installed is not there.
"""

import sys
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, distribution, distributions
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, create_model

from .failures import StartError
from .part import Part
from .requirements import normalized, required

GROUP = "twelvefold.parts"
OURS = "twelvefold-chassis-"  # what our distributions are called, before the capability
OURS_IMPORTED = "chassis_"  # what they are imported as
SEEDED = frozenset({"api", "migrations", "settings"})  # what stands in a team's package already

Model = TypeVar("Model", bound=BaseModel)


def installed(module: str) -> dict[str, type[Part]]:
    """The kind of each part that is installed for a service, by its name, in the order in which they open.

    Where several services share an environment, a part that a service neither requires nor has a module for is
    another's. Raises StartError if one cannot be used.

    :param module: a module or package of the team's, which is imported.
    """
    ours = {name: entry for name, entry in _entries().items() if _has(module, name) or _requires(module, entry)}
    return _ordered({name: _kind(entry) for name, entry in ours.items()})


def found(package: str) -> dict[str, Part]:
    """The part of each kind that is installed: `database` in `<package>/database.py`, and so on.

    Raises StartError if one is missing, or stands there and is not installed.
    """
    for name in _names_in(package) - _entries().keys():
        _refuse_uninstalled(package, name)
    return {name: _found(package, name, kind) for name, kind in installed(package).items()}


def forget() -> None:
    """Look anew at what is installed: for tests that install something."""
    _entries.cache_clear()
    required.cache_clear()


@cache
def _entries() -> dict[str, EntryPoint]:
    entries: dict[str, EntryPoint] = {}
    for entry in _all_entries():
        _refuse_name(entry)
        taken = entries.setdefault(entry.name, entry)
        if taken.value != entry.value:
            raise StartError(
                f"Two distributions bring a part {entry.name}: {_distribution(taken)} and {_distribution(entry)}. "
                "Take one of them out of the dependencies."
            )
    return entries


def _all_entries() -> Iterator[EntryPoint]:
    # Faster than `entry_points(group=...)`, which parses what all distributions say.
    names = {each.name for each in distributions() if GROUP in (each.read_text("entry_points.txt") or "")}
    # Asked for by name again: the first of a name hides those behind it on the path.
    for name in sorted(names):
        yield from _entries_of(distribution(name))


def _entries_of(bringer: Distribution) -> Iterable[EntryPoint]:
    try:
        return bringer.entry_points.select(group=GROUP)
    except (TypeError, ValueError) as error:  # of a line without `=`
        raise StartError(
            f"The entry_points.txt of {bringer.name} cannot be read. Install it again, or do without it."
        ) from error


def _refuse_name(entry: EntryPoint) -> None:
    name = entry.name
    if not name.isidentifier() or iskeyword(name) or name.startswith("__") or name in SEEDED:
        raise StartError(
            f"{_distribution(entry)} calls a part {name}, which cannot be the name of a part's module in a service. "
            f"Give the entry point in {GROUP} another name."
        )


def _has(module: str, name: str) -> bool:
    names = module.split(".")
    return any(_exists(".".join([*names[:end], name])) for end in range(1, len(names) + 1))


def _exists(module: str) -> bool:
    try:
        return module in sys.modules or find_spec(module) is not None
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):
            raise
        return False


def _requires(module: str, entry: EntryPoint) -> bool:
    if module.partition(".")[0] == __package__:  # the chassis' own settings, which any service may have
        return True
    names = required(module)
    return names is None or normalized(_distribution(entry)) in names


def _kind(entry: EntryPoint) -> type[Part]:
    kind = _loaded(entry)
    if not (isinstance(kind, type) and issubclass(kind, Part)):
        raise StartError(
            f"{_distribution(entry)} brings a part {entry.name}, but {entry.value} is no chassis.part.Part."
        )
    return kind


def _loaded(entry: EntryPoint) -> object:
    try:
        return entry.load()
    except Exception as error:  # its import runs code of others
        raise StartError(
            f"{_distribution(entry)} brings a part {entry.name}, but {entry.value} cannot be imported: "
            f"{type(error).__name__}: {error}."
        ) from error


def _ordered(kinds: dict[str, type[Part]]) -> dict[str, type[Part]]:
    order: TopologicalSorter[str] = TopologicalSorter()
    for name, kind in sorted(kinds.items()):
        order.add(name, *(other for other in kind.after if other in kinds))
    try:
        return {name: kinds[name] for name in order.static_order()}
    except CycleError as error:
        raise StartError(f"These parts each want to open after the other: {', '.join(error.args[1])}.") from error


def _found(package: str, name: str, kind: type[Part]) -> Part:
    module = f"{package}.{name}"
    try:
        part = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        part = None
    if not isinstance(part, kind):
        raise StartError(
            f"The part {name} is installed, but {module.replace('.', '/')}.py has no `{name} = {kind.__name__}(...)`. "
            f"Add it, or {_without(name)}."
        )
    return part


def _names_in(package: str) -> set[str]:
    folders = getattr(sys.modules.get(package), "__path__", ())
    return {file.stem for folder in folders for file in Path(folder).glob("*.py")}


def _refuse_uninstalled(package: str, name: str) -> None:
    # Or it would vanish without a word, where the sources of vendor/ are only on the path.
    if not _exists(f"{OURS_IMPORTED}{name}"):
        return
    if isinstance(getattr(import_module(f"{package}.{name}"), name, None), Part):
        raise StartError(
            f"{package.replace('.', '/')}/{name}.py has a part, and {OURS_IMPORTED}{name} is on the path, but its "
            f"distribution is not installed. Install {OURS}{name}, for example by `make install`."
        )


def _without(name: str) -> str:
    distribution = _distribution(_entries()[name])
    if distribution.startswith(OURS):
        return f"update with --answer {name}=false"
    return f"take {distribution} out of the dependencies"


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "a distribution"


def complete(settings: type[Model]) -> type[Model]:
    """`settings` with those of every part that is installed. Raises StartError if two have a setting of one name."""
    return with_settings_of([kind.settings for kind in installed(settings.__module__).values()], settings)


def with_settings_of(mixins: Iterable[type[BaseModel]], settings: type[Model]) -> type[Model]:
    """`settings` and `mixins` in one class. Raises StartError if two have a setting of one name."""
    new = tuple(mixin for mixin in mixins if mixin.model_fields and not issubclass(settings, mixin))
    return _joined(new, settings) if new else settings


@cache
def _joined(mixins: tuple[type[BaseModel], ...], settings: type[Model]) -> type[Model]:
    taken = set(settings.model_fields)
    for mixin in mixins:
        if twice := sorted(taken & mixin.model_fields.keys()):
            raise StartError(
                f"{settings.__name__} has a setting {twice[0]}, which is the chassis' own now. Take yours out, or give "
                "it another name."
            )
        taken |= mixin.model_fields.keys()
    bases: Any = (*reversed(mixins), settings)  # pydantic takes the fields of the last base first
    return cast("type[Model]", create_model(settings.__name__, __base__=bases, __module__=settings.__module__))
