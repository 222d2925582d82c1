"""Whose a branch is, and where work on it goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import commit, git
from twelvefold.errors import RefusedError
from twelvefold.fleet.branch import Branch, signed
from twelvefold.fleet.forges import NoForge
from twelvefold.fleet.remote import Clone, Remote, changed_environment, environment, heads

NAME = "twelvefold/update"
Look = Callable[[], Branch]


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    (work / "a.txt").write_text("a\n")
    commit(work, "Begin")
    git(tmp_path, "clone", "--quiet", "--bare", "work", "pay.git")
    git(work, "remote", "add", "origin", "../pay.git")
    return tmp_path / "pay.git"


@pytest.fixture
def look(bare: Path, tmp_path: Path) -> Look:
    """The branch as a run finds it, with the main branch checked out."""

    def looked() -> Branch:
        remote = Remote(str(bare))
        clone = Clone(tmp_path / "clones/pay", remote)
        there = heads(remote, NAME)
        clone.update(there, NAME)
        return Branch(clone, there, NAME, NoForge(), ())

    return looked


def propose(branch: Branch, text: str) -> str:
    """Do what a run does: work on what `start` checks out, and push it; return its commit."""
    with changed_environment(environment(None)):
        branch.start()
        (branch.clone.folder / "ours.txt").write_text(text)
        git(branch.clone.folder, "add", "--all")
        git(branch.clone.folder, "commit", "--quiet", "--message", signed("chore: update", "0.2.0"))
        return branch.publish(title="t", body="b", needs_person=False)[0]


def somebody(bare: Path, branch: str, *arguments: str, path: str = "theirs.txt", text: str = "theirs\n") -> None:
    """Commit to a branch, and push it, as somebody of the team does."""
    work = bare.parent / "work"
    git(work, "fetch", "--quiet", "origin")
    git(work, "checkout", "--quiet", "--force", "-B", "here", f"origin/{branch}")
    (work / path).write_text(text)
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--no-edit", *arguments)
    git(work, "push", "--quiet", "--force", "origin", f"HEAD:{branch}")


def titles(bare: Path) -> list[str]:
    return git(bare, "log", "--format=%s", NAME).splitlines()


def test_our_own_branch_is_made_anew_when_main_moved_on(bare: Path, look: Look) -> None:
    propose(look(), "one")
    assert look().is_ours()
    somebody(bare, "main", "--message", "On main")
    propose(look(), "two")
    assert titles(bare) == ["chore: update", "On main", "Begin"]


def test_a_commit_that_somebody_amended_is_theirs(bare: Path, look: Look) -> None:
    propose(look(), "one")
    somebody(bare, NAME, "--amend")
    assert "Twelvefold: 0.2.0" in git(bare, "log", "-1", "--format=%B", NAME)
    assert not look().is_ours()
    somebody(bare, "main", "--message", "On main", path="more.txt")
    propose(look(), "two")
    assert git(bare, "show", f"{NAME}:theirs.txt") == "theirs\n"
    assert git(bare, "show", f"{NAME}:more.txt") == "theirs\n"


def test_a_commit_of_somebody_who_writes_our_line_is_theirs(bare: Path, look: Look) -> None:
    propose(look(), "one")
    somebody(bare, NAME, "--message", "Reverts this\n\nTwelvefold: 0.2.0")
    assert not look().is_ours()


def test_what_git_cannot_merge_is_refused_and_left(bare: Path, look: Look) -> None:
    propose(look(), "one")
    somebody(bare, NAME, "--message", "Review", path="a.txt", text="review\n")
    somebody(bare, "main", "--message", "On main", path="a.txt", text="main\n")
    before = git(bare, "rev-parse", NAME)
    with pytest.raises(RefusedError, match=f"main cannot be merged into {NAME}, on which somebody has worked"):
        look().start()
    assert git(bare, "rev-parse", NAME) == before


def test_a_branch_that_nobody_needs_goes_if_it_is_ours(bare: Path, look: Look) -> None:
    propose(look(), "one")
    assert look().withdraw("done") == ""
    assert look().heads.proposal == ""
    assert look().withdraw("done") == ""
    propose(look(), "one")
    somebody(bare, NAME, "--message", "Review")
    assert look().withdraw("done") == look().heads.proposal != ""


def test_nothing_new_is_not_pushed(bare: Path, look: Look) -> None:
    tip = propose(look(), "one")
    branch = look()
    branch.start()
    hook = bare / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert branch.publish(title="t", body="b", needs_person=False)[0] == tip
