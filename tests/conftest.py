from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings

from commands import succeed
from environments import TEMPLATE, render, service_python

# Examples render services, on machines of any speed: their number is bounded, not their time.
settings.register_profile("twelvefold", deadline=None, max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "25")))
settings.load_profile("twelvefold")

Render = Callable[..., Path]


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """A function that renders a set of answers once. Tests that write into a service ask for `fresh` instead."""

    @cache
    def once(**answers: str | bool) -> Path:
        return render(tmp_path_factory.mktemp("rendered"), **answers)

    return once


@pytest.fixture
def fresh(rendered: Render, tmp_path: Path) -> Render:
    """A function that gives a copy of a rendered service to write into."""

    def copy(**answers: str | bool) -> Path:
        service = rendered(**answers)
        return Path(shutil.copytree(service, tmp_path / service.name, symlinks=True))

    return copy


@pytest.fixture(scope="session")
def python() -> Path:
    """The Python of the environment that all rendered services share."""
    return service_python()


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as its users get it: a git repository with a remote, without this checkout's caches."""
    clone = tmp_path_factory.mktemp("template") / "twelvefold"
    listed = git(TEMPLATE, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (TEMPLATE / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TEMPLATE / name, clone / name)
    commit(clone, "The template")
    git(clone, "remote", "add", "origin", "https://token:secret@git.example.com:8443/org/twelvefold.git")
    return clone


def git(directory: Path, *arguments: str) -> str:
    """Run git in `directory`, whatever the user's own configuration says, and return its output."""
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "init.defaultBranch=main"]
    return succeed("git", *identity, *arguments, cwd=directory)


def commit(directory: Path, message: str) -> None:
    """Make `directory` a git repository if it is none, and commit everything in it."""
    if not (directory / ".git").exists():
        git(directory, "init", "--quiet")
    git(directory, "add", "--all")
    git(directory, "commit", "--quiet", "--message", message)
