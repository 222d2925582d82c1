"""`twelvefold` and plain `scaraplate`, killed and hurt at every moment; two at once; none that changes a byte."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import commit, git
from histories import FILES, History, edit, render, twelvefold, write
from kill_points import KILLED, Points, at_point, each_point, kill
from trees import tree
from twelvefold import transaction
from twelvefold.service import Repository

Tree = Mapping[str, tuple[int, bytes] | None]
IDENTITY = {f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
UV = '#!/bin/sh\ncd "$4" && printf locked >uv.lock.new && mv uv.lock.new uv.lock\n'
NEWER: dict[str, str | None] = {
    "Makefile": "run:\n\techo run newer\n",
    "owned/core.py": '"""Newer."""\n',
    "owned/run.sh": None,
    "owned/new/more.py": "MORE = True\n",
    "pyproject.toml": FILES["pyproject.toml"].replace('  "click",\n', '  "anyio",\n  "click",\n'),
}


@dataclass
class Case:
    """A service that lags behind its template, and what becomes of it."""

    history: History
    service: Path
    pristine: Path
    tmp: Path

    @property
    def state(self) -> Path:
        return Repository.around(self.service).state

    @property
    def is_open(self) -> bool:
        return transaction.is_open(self.service / ".git/twelvefold/service")

    def reset(self) -> None:
        shutil.rmtree(self.service, ignore_errors=True)
        shutil.copytree(self.pristine, self.service, symlinks=True)
        (self.tmp / "report.json").unlink(missing_ok=True)

    def rollup(self, *arguments: str) -> tuple[int, str]:
        done = twelvefold("rollup", self.service, "--template", str(self.history.repository), *arguments)
        return done.exit_code, done.output

    def action(self, *arguments: str) -> Callable[[], tuple[int, str]]:
        return lambda: self.rollup(*arguments)

    def report(self) -> Any:
        return json.loads((self.tmp / "report.json").read_text())

    def stop(self, *arguments: str, number: int = 3) -> None:
        """Kill a rollup after it began to change files."""
        self.reset()
        points = Points(self.service, number, kill, since=self.service / ".git/twelvefold/service/journal.json")
        end, _ = at_point(points, self.action(*arguments))
        assert (end.code, self.is_open) == (KILLED, True), end


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No fsync: what a killed process has written is there. A uv that is quick. A name to commit with."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    write(tmp_path, "bin/uv", UV)
    (tmp_path / "bin/uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    (tmp_path / "template").mkdir()
    history = History(tmp_path / "template")
    history.release("0.1.0")
    service = render(history, "0.1.0", tmp_path)
    write(service, "owned/core.py", "patched = True\n")
    edit(service, "pyproject.toml", "line-length = 100", "line-length = 120")
    commit(service, "The team's")
    history.release("0.2.0", NEWER)
    pristine = tmp_path / "pristine"
    shutil.copytree(service, pristine, symlinks=True)
    return Case(history, service, pristine, tmp_path)


def whole(folder: Path) -> Tree:
    """Files, and empty folders."""
    empty = {
        str(path.relative_to(folder)): None
        for path in folder.rglob("*")
        if path.is_dir() and not any(path.iterdir()) and ".git" not in path.relative_to(folder).parts
    }
    return {**tree(folder), **empty}


def everything(folder: Path) -> dict[str, tuple[int, int, int]]:
    """All that a write would change, of each file and folder, .git and all: its inode, its time, its length."""
    return {
        str(path.relative_to(folder)): (about.st_ino, about.st_mtime_ns, about.st_size)
        for path in [folder, *folder.rglob("*")]
        for about in [path.lstat()]
    }


def uninterrupted(case: Case, *arguments: str) -> tuple[Tree, int, Any]:
    code, said = case.rollup(*arguments)
    assert code == 2, said  # the patch of the team's was healed
    return whole(case.service), code, case.report()


def check_that_it_is_said(case: Case) -> None:
    """`status`, `--check` and `--diff` say that an update was interrupted, and write nothing."""
    before = everything(case.service)
    for command in (("status",), ("rollup", "--check"), ("rollup", "--diff")):
        done = twelvefold(command[0], case.service, *command[1:])
        assert (done.exit_code, "interrupted" in done.output) == (1, True), done.output
    assert everything(case.service) == before


def killed_everywhere(case: Case, arguments: tuple[str, ...], every: int = 1) -> list[int]:
    old = whole(case.pristine)
    new, code, report = uninterrupted(case, *arguments)
    said_at, points = 0, []
    for number, end in each_point(case.service, case.reset, case.action(*arguments)):
        points.append(number)
        assert end.code == KILLED
        now = whole(case.service)
        for path, file in now.items():
            assert file is None or file in (old.get(path), new.get(path)), (number, path)
        if not case.is_open and (number % every or not said_at):
            assert now in (old, new), number
            continue
        if case.is_open:
            said_at += 1
            if said_at % 8 == 1:
                check_that_it_is_said(case)
        elif now == new:
            continue
        assert case.rollup(*arguments)[0] == code, number
        assert whole(case.service) == new, number
        assert case.report() == report, number
        assert not case.is_open
        if "--commit" in arguments:
            assert git(case.service, "status", "--porcelain") == "", number
            assert git(case.service, "rev-list", "--count", "HEAD").strip() == "3", number
    assert said_at
    return points


def test_killed_at_every_write_the_same_command_finishes_it(case: Case) -> None:
    points = killed_everywhere(case, ("--no-lock", "--report", str(case.tmp / "report.json")))
    assert len(points) > 50


@pytest.mark.slow
def test_killed_at_every_write_with_a_lock_a_branch_and_a_commit(case: Case) -> None:
    arguments = ("--commit", "--branch", "update/now", "--report", str(case.tmp / "report.json"))
    killed_everywhere(case, arguments, every=5)
    assert git(case.service, "branch", "--show-current").strip() == "update/now"
    assert (case.service / "uv.lock").read_text() == "locked"
