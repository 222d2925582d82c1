"""Templates that are not ours, with what cookiecutter allows them, rendered by cookiecutter and by our own loop."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from twelvefold.engine.rendering.checkouts import Checkout
from twelvefold.engine.rendering.imports import imports_apart
from twelvefold.engine.rendering.project import render_project
from twelvefold.engine.template import Template

Answers = Mapping[str, str | bool]
Contents = Mapping[str, str | bytes]
PICTURE = b"\x89PNG\r\n\x1a\n\0\0\0{{ not rendered }}\xff"
TAGS = {"variable_start_string": "<<", "variable_end_string": ">>"}
TAGS |= {"block_start_string": "<%", "block_end_string": "%>", "comment_start_string": "<#", "comment_end_string": "#>"}


class Unversioned(Template):
    """A template that is in no repository."""

    __slots__ = ()

    @lru_cache  # noqa: B019 - as what it overrides
    def content(self) -> str:
        """What a hook is told of the template's content."""
        return "unversioned"

    @lru_cache  # noqa: B019
    def rules(self) -> Mapping[str, Any]:
        """scaraplate.yaml, unchecked."""
        loaded: Mapping[str, Any] = yaml.safe_load((self.repository / "scaraplate.yaml").read_text(encoding="utf-8"))
        return loaded


@dataclass(frozen=True, slots=True)
class Fork:
    """A template: cookiecutter.json, the files below its top and their modes, and links."""

    questions: Mapping[str, Any]
    files: Contents
    executable: frozenset[str] = frozenset()
    links: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Write it into `folder`, and return that."""
        for path, content in {"cookiecutter.json": json.dumps(self.questions), **self.files}.items():
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
            file.chmod(0o755 if path in self.executable else 0o644)
        for path, target in self.links.items():
            (folder / path).symlink_to(target)
        return folder


def checkout_of(template: Path) -> Checkout:
    """The template in a folder as the loop wants it."""
    return Checkout(Unversioned(template, str(template), "main", "0" * 40), template)


def by_us(template: Path, answers: Answers, scratch: Path) -> Path:
    """What our loop renders."""
    scratch.mkdir(parents=True)
    return render_project(checkout_of(template), answers, scratch)


def by_cookiecutter(template: Path, answers: Answers, output: Path) -> Path:
    """What cookiecutter renders, from the folder that the template lies in, as scaraplate calls it."""
    from cookiecutter.main import cookiecutter

    output.mkdir(parents=True)
    here = Path.cwd()
    os.chdir(template.parent)
    try:
        with imports_apart(template):
            options: dict[str, Any] = {"no_input": True, "default_config": True, "output_dir": str(output)}
            return Path(cookiecutter(template.name, extra_context=dict(answers), **options))
    finally:
        os.chdir(here)


def folders(root: Path) -> set[str]:
    """All folders below `root`, empty ones, too."""
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_dir()}
