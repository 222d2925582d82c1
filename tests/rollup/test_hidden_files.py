"""Files that git was told not to look at: neither command writes there, and what it says to type helps."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from commands import run
from conftest import commit, git
from histories import QUESTIONS, History, edit, plain, rolled_up, twelvefold, write
from trees import tree

NEW: dict[str, str | None] = {"owned/core.py": "NEW = 2\n", "owned/run.sh": None, "docs/new.txt": "new\n"}
FLAGS = ("--skip-worktree", "--assume-unchanged")


@pytest.fixture
def newer(history: History) -> History:
    """It changes an owned and a merged file, drops one, and adds one."""
    pyproject = history.files["pyproject.toml"]
    history.release("0.2.0", {**NEW, "pyproject.toml": pyproject.replace('"click",', '"anyio",\n  "click",')})
    return history


def type_what_is_said(said: str, service: Path) -> None:
    command = re.search(r"start the rollup again:\n  (git .*)$", said, re.MULTILINE)
    assert command, said
    subprocess.run(command[1], shell=True, cwd=service, check=True)  # noqa: S602 - what a person types


def make_sparse(service: Path, *patterns: str) -> None:
    git(service, "status")  # the service was copied, and git removes no file that it has not looked at since
    git(service, "sparse-checkout", "set", *patterns)


@pytest.mark.parametrize("flag", FLAGS)
@pytest.mark.parametrize(
    "path",
    [
        "owned/core.py",
        "pyproject.toml",
        ".twelvefold/manifest.json",
        ".twelvefold/applied/pyproject.toml",
    ],
)
def test_an_edit_that_git_does_not_see_is_not_overwritten(path: str, flag: str, newer: History, service: Path) -> None:
    git(service, "update-index", flag, path)
    edit(service, path, "\n", "\n\n" if path.endswith("json") else "\n# ours\n") if "applied" not in path else None
    assert git(service, "status", "--porcelain") == ""
    before = tree(service)
    for arguments in ([], ["--check"], ["--diff"]):
        said = rolled_up(newer, service, "0.2.0", *arguments, exit_code=2)
        assert f"Hidden from git ({flag[2:]}): {path}." in said
    assert tree(service) == before
    type_what_is_said(said, service)
    git(service, "stash", "--quiet") if git(service, "status", "--porcelain") else None
    rolled_up(newer, service, "0.2.0", "--commit")
    assert "Nothing to do" in rolled_up(newer, service, "0.2.0")


@pytest.mark.parametrize("flag", FLAGS)
def test_what_would_not_be_written_may_be_hidden(flag: str, newer: History, service: Path) -> None:
    """Such as settings of one's own in a seed, or files that the template does not know."""
    write(service, "ours.txt", "ours\n")
    commit(service, "Ours")
    git(service, "update-index", flag, "seeds/api.py", "ours.txt", "Makefile")
    write(service, "seeds/api.py", "LOCAL = 1\n")
    write(service, "ours.txt", "local\n")
    rolled_up(newer, service, "0.2.0", "--commit")
    assert (service / "seeds/api.py").read_text() == "LOCAL = 1\n"
    assert (service / "ours.txt").read_text() == "local\n"


def test_several_are_said_at_once_and_shown_again_by_one_command(newer: History, service: Path) -> None:
    paths = ["Makefile", "owned/core.py", "owned/run.sh", "pyproject.toml", ".twelvefold/manifest.json"]
    git(service, "update-index", "--assume-unchanged", *paths)
    said = rolled_up(newer, service, "0.2.0", exit_code=2)
    assert (
        "Hidden from git (assume-unchanged): .twelvefold/manifest.json, owned/core.py, owned/run.sh and 1 more." in said
    )
    type_what_is_said(said, service)
    rolled_up(newer, service, "0.2.0")


def test_a_sparse_checkout_is_not_filled(newer: History, service: Path) -> None:
    """Neither with files that git has and the disk has not, nor with new ones."""
    make_sparse(service, "seeds", ".twelvefold")
    assert not (service / "owned").exists()
    before = tree(service)
    said = rolled_up(newer, service, "0.2.0", exit_code=2)
    named = "config/legacy.json, docs/new.txt, owned/core.py and 1 more."
    assert f"Hidden from git (outside the sparse checkout): {named}" in said
    assert tree(service) == before
    type_what_is_said(said, service)
    rolled_up(newer, service, "0.2.0", "--commit")
    assert not (service / "owned/run.sh").exists()


def test_a_file_that_the_template_drops_is_not_forgotten_outside_the_sparse_checkout(
    history: History, service: Path
) -> None:
    history.release("0.2.0", {"owned/core.py": None, "Makefile": "run:\n\techo new\n"})
    make_sparse(service, "--no-cone", "/*", "!/owned/core.py")
    said = rolled_up(history, service, "0.2.0", exit_code=2)
    assert "Hidden from git (outside the sparse checkout): owned/core.py." in said


def test_a_sparse_checkout_that_has_what_is_written_is_no_obstacle(newer: History, service: Path) -> None:
    write(service, "data/large.txt", "large\n")
    commit(service, "Data")
    make_sparse(service, "--no-cone", "/*", "!/data/")
    rolled_up(newer, service, "0.2.0", "--commit")
    assert (service / "docs/new.txt").exists()
    assert not (service / "data").exists()


@pytest.mark.parametrize("command", ["rollup", "adopt"])
def test_a_lock_that_git_does_not_see_is_not_made_anew(command: str, newer: History, service: Path) -> None:
    write(service, "uv.lock", "version = 1\n")
    if command == "adopt":
        git(service, "rm", "-r", "--quiet", ".twelvefold")
    commit(service, "Locked")
    git(service, "update-index", "--skip-worktree", "uv.lock")
    write(service, "uv.lock", "version = 2\n")
    options: list[str | Path] = [command, service, "--template", newer.repository, "--ref", "0.2.0"]
    options += ["--yes"] if command == "adopt" else []
    done = twelvefold(*options)
    assert (done.exit_code, "Hidden from git (skip-worktree): uv.lock." in done.output) == (2, True), done.output
    assert (service / "uv.lock").read_text() == "version = 2\n"
    assert twelvefold(*options, "--no-lock").exit_code in {0, 2}
    assert (service / "owned/core.py").read_text() == "NEW = 2\n"


def test_adopt_does_not_write_there_either(newer: History, service: Path) -> None:
    git(service, "rm", "-r", "--quiet", "--cached", ".twelvefold")
    run("rm", "-r", service / ".twelvefold")
    commit(service, "No service")
    git(service, "update-index", "--assume-unchanged", "Makefile")
    write(service, "Makefile", "ours:\n\techo ours\n")
    before = tree(service)
    done = twelvefold("adopt", service, "--template", newer.repository, "--no-lock", "--yes")
    assert (done.exit_code, "Hidden from git (assume-unchanged): Makefile." in done.output) == (2, True), done.output
    assert tree(service) == before


@pytest.mark.parametrize("hide", ["skip", "assume", "sparse"])
def test_plain_scaraplate_refuses_it_before_it_writes(hide: str, newer: History, service: Path) -> None:
    """It writes owned and merged files at every run."""
    if hide == "sparse":
        make_sparse(service, "seeds", ".twelvefold")
    else:
        git(service, "update-index", f"--{'skip-worktree' if hide == 'skip' else 'assume-unchanged'}", "owned/core.py")
        write(service, "owned/core.py", "OURS = 1\n")
    before = tree(service)
    done = plain(newer, service)
    assert (done.exit_code, "Hidden from git (" in done.output) == (2, True), done.output
    assert "owned/core.py" in done.output
    assert tree(service) == before


def test_plain_scaraplate_leaves_a_hidden_seed_alone(newer: History, service: Path) -> None:
    git(service, "update-index", "--skip-worktree", "seeds/api.py")
    write(service, "seeds/api.py", "LOCAL = 1\n")
    assert plain(newer, service).exit_code == 0
    assert (service / "seeds/api.py").read_text() == "LOCAL = 1\n"


def test_the_package_is_not_renamed_by_an_answer(history: History, service: Path) -> None:
    assert QUESTIONS["package_name"] == "pay_api"
    before = tree(service)
    for arguments in ([], ["--check"]):
        said = rolled_up(history, service, "0.1.0", "--answer", "package_name=other", *arguments, exit_code=2)
        assert "The answer is package_name=other, and the package of this service is pay_api" in said
    assert tree(service) == before
    assert "Nothing to do" in rolled_up(history, service, "0.1.0", "--answer", "package_name=pay_api")


def test_nor_by_a_line_in_the_memory(history: History, service: Path) -> None:
    history.release("0.2.0", {"src/<<cookiecutter.package_name>>/api.py": "API = 1\n"})
    rolled_up(history, service, "0.2.0", "--commit")
    edit(service, ".twelvefold/answers.json", '"pay_api"', '"other"')
    said = rolled_up(history, service, "0.2.0", exit_code=2)
    assert "set it back: --answer package_name=pay_api" in said
    rolled_up(history, service, "0.2.0", "--answer", "package_name=pay_api")
    assert not (service / "src/other").exists()
