"""Capabilities: which optional parts this service has, and where the team's package has put them together."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel, create_model

from .lifecycle import StartError
from .versions import note

if TYPE_CHECKING:
    from .part import Part

NAMES = ("database", "tasks", "auth")
"""All there are, in the order in which their parts open."""

Model = TypeVar("Model", bound=BaseModel)


def declared() -> list[str]:
    """The capabilities that the service's answers turned on."""
    on = str(note().get("capabilities", "")).split()
    return [name for name in NAMES if name in on]


def found(package: str) -> dict[str, Part]:
    """The part of each declared capability: `database` in `<package>/database.py`, and so on.

    Raises StartError if there is none.
    """
    return {name: _found(package, name) for name in declared()}


def _found(package: str, name: str) -> Part:
    from .part import Part

    module = f"{package}.{name}"
    try:
        part = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        part = None
    if not isinstance(part, Part):
        raise StartError(
            f"The answer {name} is true, but src/{module.replace('.', '/')}.py has no `{name} = "
            f"{name.capitalize()}(...)`. Add it as the template's docs/{name}.md shows, or update with --answer "
            f"{name}=false."
        )
    return part


def complete(settings: type[Model]) -> type[Model]:
    """`settings` with those of every declared capability. Raises StartError if two have a setting of one name."""
    modules = [import_module(f"{__package__}.{name}.settings") for name in declared()]
    return with_settings_of([module.CAPABILITY for module in modules], settings)


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
