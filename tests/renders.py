"""Renders, kept by content: what one process has rendered is taken by all others, and by later runs.

A render depends on the template and the answers alone, which tests/hooks/test_post_gen_project.py proves. One of each
lies in .cache/rendered/, in a folder that is named by what it is made of. Nobody writes into it: a test that has to
write asks for a copy.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from rendered import QUESTIONS, TEMPLATE, render

KEPT = TEMPLATE / ".cache" / "rendered"
FOLDER = "<<cookiecutter.project_slug>>"
MADE_OF = (FOLDER, "hooks", "cookiecutter.json", "scaraplate.yaml", "twelvefold_answers.py", "scripts/rendered.py")
RENDERED_BY = ("cookiecutter", "jinja2", "pyyaml")
DAY = 86_400


class WrittenError(AssertionError):
    """Somebody wrote into a render that all tests share."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A render in .cache/rendered/, and the seal that says what it was when it was made."""

    home: Path

    @property
    def service(self) -> Path:
        (service,) = (path for path in self.home.iterdir() if path.is_dir())
        return service

    @property
    def seal(self) -> Path:
        return self.home / "seal.json"

    def is_intact(self) -> bool:
        return self.seal.is_file() and not self.changed()

    def changed(self) -> list[str]:
        """The paths that are no longer as they were rendered."""
        sealed = json.loads(self.seal.read_text(encoding="utf-8"))
        found = dict(entries(self.service))
        return sorted(path for path in sealed.keys() | found.keys() if sealed.get(path) != found.get(path))

    def insist(self) -> None:
        """Raise WrittenError, and forget the render, if a test wrote into it."""
        if not self.seal.exists():
            return  # another process has said so already
        if changed := self.changed():
            name = f"{self.home.name}/{self.service.name}"
            shutil.rmtree(self.home)
            raise WrittenError(f"a test wrote into the render {name}, which all share; ask for `fresh`: {changed}")


def kept(where: Path = KEPT, /, **answers: str | bool) -> Kept:
    """The render of a set of answers; it is made if there is none, or if it is not as it was."""
    said = {name: answer for name, answer in answers.items() if answer != default(name)}
    made_of = json.dumps([of_template(), said], sort_keys=True, ensure_ascii=False)
    found = Kept(where / hashlib.sha256(made_of.encode()).hexdigest()[:24])
    where.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{found.home}.lock"):
        if not found.is_intact():
            made = Kept(found.home.with_suffix(".new"))
            for left in (made.home, found.home):
                shutil.rmtree(left, ignore_errors=True)
            render(made.home, **answers)
            made.seal.write_text(json.dumps(dict(entries(made.service))), encoding="utf-8")
            made.home.rename(found.home)
        os.utime(found.home)
    return found


def default(question: str) -> object:
    """What a question is answered with where nothing is said."""
    declared = QUESTIONS.get(question)
    return declared[0] if isinstance(declared, list) else declared


@cache
def of_template() -> str:
    """One hash of all that a render is made of, this checkout's changes included."""
    digest = hashlib.sha256(repr([version(name) for name in RENDERED_BY]).encode())
    for name in MADE_OF:
        for path, entry in entries(TEMPLATE / name):
            digest.update(f"{name}/{path} {entry}\n".encode())
    return digest.hexdigest()


def entries(root: Path) -> Iterator[tuple[str, list[str]]]:
    """Each path below `root`, or `root` itself if it is a file: its mode, and the hash of its bytes or its target."""
    for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
        name = path.relative_to(root).as_posix()
        if "__pycache__" in path.parts:
            continue
        if path.is_symlink():
            yield name, ["link", os.fspath(path.readlink())]
        else:
            content = b"" if path.is_dir() else path.read_bytes()
            yield name, [f"{path.stat().st_mode:o}", hashlib.sha256(content).hexdigest()]


def forget_old(where: Path = KEPT, *, now: float | None = None) -> None:
    """Remove what nobody asked for since yesterday: each change of the template makes renders of its own."""
    before = (time.time() if now is None else now) - DAY
    for path in where.glob("*"):
        if path.stat().st_mtime < before:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
