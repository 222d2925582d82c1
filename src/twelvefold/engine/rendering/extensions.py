"""The Jinja extensions that every template of cookiecutter's has, each imported when something of it is used.

`cookiecutter.extensions` imports arrow and, through its package, much else, which most renders never need.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar

from jinja2 import Environment, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

COOKIECUTTER = "cookiecutter.extensions"


class Later(Extension):
    """Stands for the extension of cookiecutter's that has the same name."""

    filters: ClassVar[tuple[str, ...]] = ()
    functions: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.identifier = f"{COOKIECUTTER}.{cls.__name__}"

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters.update({name: self._calling(environment.filters, name) for name in self.filters})
        environment.globals.update({name: self._calling(environment.globals, name) for name in self.functions})

    def real(self) -> Any:
        """cookiecutter's own, which puts its filters and functions in place of these."""
        return getattr(import_module(COOKIECUTTER), type(self).__name__)(self.environment)

    def _calling(self, named: Any, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.real()
            return named[name](*arguments, **options)

        return call


class JsonifyExtension(Later):
    """`jsonify`."""

    filters = ("jsonify",)


class RandomStringExtension(Later):
    """`random_ascii_string()`."""

    functions = ("random_ascii_string",)


class SlugifyExtension(Later):
    """`slugify`."""

    filters = ("slugify",)


class UUIDExtension(Later):
    """`uuid4()`."""

    functions = ("uuid4",)


class TimeExtension(Later):
    """The tag `now`."""

    tags = {"now"}  # noqa: RUF012 - as Jinja declares it

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.extend(datetime_format="%Y-%m-%d")

    def parse(self, parser: Parser) -> nodes.Output:
        """Parse the tag; what it compiles to calls the two methods below."""
        parsed: nodes.Output = self.real().parse(parser)
        return parsed

    def _now(self, *arguments: Any) -> Any:
        return self.real()._now(*arguments)

    def _datetime(self, *arguments: Any) -> Any:
        return self.real()._datetime(*arguments)


DEFAULT: tuple[type[Extension], ...] = (
    JsonifyExtension,
    RandomStringExtension,
    SlugifyExtension,
    TimeExtension,
    UUIDExtension,
)
