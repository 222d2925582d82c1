"""Jinja as cookiecutter sets it up: strict, with its extensions and the template's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import CodeType
from typing import Any

import jinja2
from jinja2.ext import Extension

from twelvefold.engine.rendering.extensions import DEFAULT
from twelvefold.engine.rendering.refusals import unusable

Compiled = dict[tuple[object, ...], CodeType]


class Environment(jinja2.Environment):
    """The Jinja environment of one render.

    `questions` is cookiecutter.json, which names extensions and options. `compiled` is what earlier renders of the same
    checkout compiled, and takes what this one does. It must not serve another checkout: Jinja computes filters of
    constants while it compiles, and another version of the template may have another filter of that name.
    """

    def __init__(self, questions: Mapping[str, Any], compiled: Compiled) -> None:
        self.compiled = compiled
        extensions: list[str | type[Extension]] = [*DEFAULT, *map(str, questions.get("_extensions", []))]
        options = questions.get("_jinja2_env_vars", {})
        try:
            super().__init__(
                undefined=jinja2.StrictUndefined, keep_trailing_newline=True, extensions=extensions, **options
            )
        except ImportError as error:
            raise unusable(f"Unable to load extension: {error}") from error

    def compile(self, source: Any, *arguments: Any, **options: Any) -> Any:
        """Compile as Jinja does, each text once a checkout: all services of a fleet render the same files."""
        key = (source, *arguments, *sorted(options.items()))
        if key not in self.compiled:
            self.compiled[key] = super().compile(source, *arguments, **options)
        return self.compiled[key]

    def rendered(self, text: str, context: Mapping[str, Any]) -> str:
        """`text` rendered; most names of files hold no tag, and need no template."""
        return text if self._is_literal(text) else self.from_string(text).render(**context)

    def _is_literal(self, text: str) -> bool:
        tags = (self.variable_start_string, self.block_start_string, self.comment_start_string)
        # Jinja normalises line ends, and an extension may read a text its own way.
        return (
            not any(tag in text for tag in (*tags, "\n", "\r"))
            and not (self.line_statement_prefix or self.line_comment_prefix)
            and all(type(each).preprocess is Extension.preprocess for each in self.extensions.values())
        )


class Loader(jinja2.FileSystemLoader):
    """Reads templates below folders; errors name a file by its path there, not by the folder of this render."""

    def __init__(self, folders: Iterable[Path]) -> None:
        super().__init__([os.fspath(folder) for folder in folders])

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, _, is_up_to_date = super().get_source(environment, template)
        return source, f"./{template}", is_up_to_date
