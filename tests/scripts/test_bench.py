"""`make bench`, and what says how a benchmark is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bench
from commands import run
from conftest import git
from environments import TEMPLATE, without_project

NAMES = ["fleet", "hooks", "memory", "page", "poller", "pull", "render", "rollup", "service", "tasks", "tasks_kill"]


def test_without_a_name_each_is_listed_with_a_line() -> None:
    done = run("make", "--silent", "bench", cwd=TEMPLATE, env=without_project())
    assert (done.returncode, done.stderr) == (0, "")
    lines = re.findall(r"^  (\w+) +([A-Z].+\.)$", done.stdout, re.MULTILINE)
    assert dict(lines) == bench.described()
    assert [name for name, _ in lines] == NAMES


def test_a_wrong_name_says_which_there_are() -> None:
    done = run("make", "--silent", "bench", "NAME=servise", cwd=TEMPLATE, env=without_project())
    assert (done.returncode, done.stdout) == (2, "")
    assert f"There is no benchmark servise. There are: {', '.join(NAMES)}\n" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_is_run_with_its_arguments(name: str) -> None:
    done = run("make", "--silent", "bench", f"NAME={name}", "ARGS=--help", cwd=TEMPLATE, env=without_project())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: {name}.py ")


def test_what_only_helps_is_none(tmp_path: Path) -> None:
    (tmp_path / "speed.py").write_text('"""Measure it.\n\nRun by `make bench NAME=speed`."""\n', encoding="utf-8")
    (tmp_path / "helper.py").write_text('"""Run by `make bench NAME=speed`."""\n', encoding="utf-8")
    (tmp_path / "bare.py").write_text("PLAIN = True\n", encoding="utf-8")
    assert bench.described(tmp_path) == {"speed": "Measure it."}


def test_who_names_one_names_one_that_there_is() -> None:
    """In documents, docstrings and the Makefile; what a release had is its own matter."""
    files = git(TEMPLATE, "ls-files", "*.md", "*.py", "Makefile", ":!CHANGELOG.md", ":!tests/scripts/test_bench.py")
    found = [path for path in map(TEMPLATE.joinpath, files.splitlines()) if path.is_file()]
    told = {way for path in found for way in re.findall(r"make bench(?:-\w+| NAME=\w+)", path.read_text("utf-8"))}
    assert told == {f"make bench NAME={name}" for name in NAMES}
