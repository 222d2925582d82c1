"""The files and folders of a template, rendered or copied one by one as cookiecutter does."""

from __future__ import annotations

import fnmatch
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from binaryornot.check import is_binary
from jinja2 import TemplateSyntaxError, UndefinedError

from twelvefold.engine.rendering.checkouts import Source
from twelvefold.engine.rendering.environment import Environment
from twelvefold.engine.rendering.refusals import unusable

# Paths are texts here, not Paths, because a rollup asks for each of some hundred.


@dataclass(frozen=True, slots=True)
class Tree:
    """The folder of a template that is rendered, the folder that it is rendered into, and with what."""

    source: Path
    project: Path
    environment: Environment
    context: Mapping[str, Any]
    sources: dict[str, Source]
    """What is known of the source's files already; takes what is found out here."""

    def render(self) -> None:
        """Write all files. Raises RefusedError, and what extensions raise."""
        for root, folders, files in os.walk(self.source):
            below = root.removeprefix(str(self.source)).removeprefix("/")
            paths = {name: f"{below}/{name}" if below else name for name in sorted(folders)}
            copied = [name for name in paths if self._is_copied(paths[name])]
            for name in copied:
                self._copy_folder(paths[name])
            folders[:] = [name for name in paths if name not in copied]
            for name in folders:
                self._make_folder(paths[name])
            for name in sorted(files):
                self._file(f"{below}/{name}" if below else name)

    def _is_copied(self, path: str) -> bool:
        patterns = self.context["cookiecutter"].get("_copy_without_render", ())
        return any(fnmatch.fnmatch(path, pattern) for pattern in patterns)

    def _target(self, path: str) -> str:
        """Where `path` is written. Raises RefusedError if an answer in it leads out of the project."""
        name = self.environment.rendered(path, self.context)
        refuse_outside(path, name)
        return f"{self.project}/{name}"

    def _copy_folder(self, path: str) -> None:
        target = self._target(path)
        if os.path.isdir(target):  # noqa: PTH112
            shutil.rmtree(target)
        shutil.copytree(self.source / path, target)

    def _make_folder(self, path: str) -> None:
        try:
            target = Path(self._target(path))
        except UndefinedError as error:
            raise undefined(f"Unable to create directory '{path}'", error) from error
        if target.exists():
            raise unusable(f'Error: "{target.relative_to(self.project)}" directory already exists')
        target.mkdir(parents=True)

    def _file(self, path: str) -> None:
        if self._is_copied(path):
            self._copy(path, self._target(path))
            return
        try:
            self._render_file(path)
        except UndefinedError as error:
            raise undefined(f"Unable to create file '{path}'", error) from error

    def _render_file(self, path: str) -> None:
        target = self._target(path)
        if os.path.isdir(target):  # noqa: PTH112 - its name is empty, or a folder's
            return
        if self._known(path).is_binary:
            self._copy(path, target)
            return
        text = self._text(path)
        newline = self.context["cookiecutter"].get("_new_lines") or self._known(path).newline
        with open(target, "w", encoding="utf-8", newline=newline) as stream:  # noqa: PTH123
            stream.write(text)
        shutil.copymode(f"{self.source}/{path}", target)

    def _text(self, path: str) -> str:
        try:
            template = self.environment.get_template(path)
        except TemplateSyntaxError as error:
            error.translated = False  # so that its text has the place
            raise
        return template.render(**self.context)

    def _copy(self, path: str, target: str) -> None:
        shutil.copyfile(f"{self.source}/{path}", target)
        shutil.copymode(f"{self.source}/{path}", target)

    def _known(self, path: str) -> Source:
        if path not in self.sources:
            self.sources[path] = source_at(f"{self.source}/{path}")
        return self.sources[path]


def source_at(path: str) -> Source:
    """Look at a file: a text keeps the line end of its first line, of mixed ones the first in Python's order."""
    if is_binary(path):
        return Source(is_binary=True)
    with open(path, encoding="utf-8") as stream:  # noqa: PTH123
        stream.readline()
    newline = stream.newlines[0] if isinstance(stream.newlines, tuple) else stream.newlines
    return Source(is_binary=False, newline=newline)


def refuse_outside(path: str, name: str) -> None:
    """Raise RefusedError if `name`, which `path` was rendered to, leads out of the folder that it should lie in."""
    if name.startswith("/") or ".." in name.split("/"):
        raise unusable(f"{path} would be written to {name}, which is outside of the service")


def undefined(what: str, error: UndefinedError) -> Exception:
    """The error for a template that names what nobody asks."""
    return unusable(f"{what}. Error message: {error.message}.")
