"""Which paths git does not look at, as git itself has it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import commit, git
from twelvefold.engine.hidden import SKIPPED, SPARSE, UNCHANGED, hidden_by, refuse_hidden
from twelvefold.errors import RefusedError
from twelvefold.service import Repository

FILES = ("a", "b/c", "b/d/e", "b/d/ü", "f g/h", "f g/[i]", "-j/*")


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("repository")
    for path in FILES:
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text(path)
    commit(repository, "Begin")
    return repository


@pytest.fixture(scope="module")
def flagged(committed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(committed, tmp_path_factory.mktemp("flagged") / "copy"))


@pytest.fixture
def repository(committed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(committed, tmp_path / "copy"))


def test_nothing_is_hidden_at_first(repository: Path) -> None:
    here = Repository.around(repository)
    assert hidden_by(here, [*FILES, "new", "b/new"]) == {}
    refuse_hidden(here, FILES)
    refuse_hidden(here, [])


some = st.sets(st.sampled_from(FILES))


@given(skipped=some, unchanged=some, asked=some)
def test_what_is_flagged_is_hidden_and_what_was_not_asked_for_is_not_said(
    skipped: set[str], unchanged: set[str], asked: set[str], flagged: Path
) -> None:
    for flag, paths in ((SKIPPED, skipped), (UNCHANGED, unchanged)):
        git(flagged, "update-index", f"--no-{flag}", "--", *FILES)
        for path in paths:
            git(flagged, "update-index", f"--{flag}", "--", path)
    wanted = dict.fromkeys(unchanged & asked, UNCHANGED) | dict.fromkeys(skipped & asked, SKIPPED)
    assert hidden_by(Repository.around(flagged), asked) == wanted


NEW = ("k", "b/new", "b/d/new", "b/x/new", "f g/new", "new/a b/c", "new/ü", "-j/k")


@given(
    cone=st.booleans(),
    kept=st.lists(st.sampled_from(["b", "b/d", "f g", "new", "j"]), unique=True, min_size=1),
    new=st.sets(st.sampled_from(NEW), min_size=1),
)
def test_of_new_files_those_are_hidden_that_git_would_not_check_out(
    cone: bool, kept: list[str], new: set[str], committed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Asked of git the long way: they are committed, and checked out sparsely."""
    repository = Path(shutil.copytree(committed, tmp_path_factory.mktemp("sparse") / "copy"))
    sparse = [
        "sparse-checkout",
        "set",
        *(["--cone", *kept] if cone else ["--no-cone", "/a", *(f"/{one}/" for one in kept)]),
    ]
    git(repository, *sparse)
    asked = hidden_by(Repository.around(repository), new)
    git(repository, "sparse-checkout", "disable")
    for path in new:
        (repository / path).parent.mkdir(parents=True, exist_ok=True)
        (repository / path).write_text("new")
    commit(repository, "New")
    git(repository, *sparse)
    assert asked == {path: SPARSE for path in sorted(new) if not (repository / path).exists()}


def test_below_the_top_of_a_repository_and_in_a_worktree(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"))
    git(tmp_path / "tree", "sparse-checkout", "set", "b")
    for folder in (tmp_path / "tree/b", tmp_path / "tree"):
        prefix = "" if folder.name == "b" else "b/"
        assert hidden_by(Repository.around(folder), [f"{prefix}d/e", f"{prefix}new"]) == {}
    assert set(hidden_by(Repository.around(tmp_path / "tree"), ["f g/h", "f g/new"]).values()) == {SPARSE}
    assert hidden_by(Repository.around(repository), ["f g/h", "f g/new"]) == {}


def test_a_sparse_checkout_without_patterns_is_none(repository: Path) -> None:
    git(repository, "config", "core.sparseCheckout", "true")
    assert hidden_by(Repository.around(repository), ["new", "b/new"]) == {}


def test_the_command_names_what_it_needs_to(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(21):
        (repository / f"{number}").touch()
    commit(repository, "Many")
    names = [str(number) for number in range(21)]
    git(repository, "update-index", "--skip-worktree", "--", *FILES, *names)
    here = Repository.around(repository)
    command = rf"git -C {repository} update-index --no-skip-worktree -- 'f g/h'$"
    with pytest.raises(RefusedError, match=command):
        refuse_hidden(here, ["f g/h"])
    monkeypatch.chdir(repository)
    with pytest.raises(RefusedError, match=r"\n  git update-index --no-skip-worktree -- 'f g/h'$"):
        refuse_hidden(here, ["f g/h"])
    with pytest.raises(RefusedError, match=r"and 4 more\..*\n  git update-index --no-skip-worktree -- '-j/\*' a b/c "):
        refuse_hidden(here, FILES)
    with pytest.raises(RefusedError, match=r"\n  git ls-files -z \| git update-index --no-skip-worktree -z --stdin$"):
        refuse_hidden(here, names)


@pytest.mark.parametrize("patterns", [("--cone", "b/d"), ("--no-cone", "/a", "/b/d/")])
@pytest.mark.parametrize("inside", ["", "b"])
def test_a_sparse_checkout_is_widened_by_what_is_written_and_no_more(
    patterns: tuple[str, ...], inside: str, repository: Path
) -> None:
    git(repository, "status")
    git(repository, "sparse-checkout", "set", *patterns)
    (repository / inside).mkdir(exist_ok=True)
    here = Repository.around(repository / inside)
    wanted = ["x/new", "y/z/new"]
    with pytest.raises(RefusedError) as refusal:
        refuse_hidden(here, wanted)
    command = refusal.value.message.rpartition("\n  ")[2]
    subprocess.run(command, shell=True, check=True)  # noqa: S602 - what a person types
    refuse_hidden(here, wanted)
    assert set(hidden_by(here, ["other/new"]).values()) == {SPARSE}
    assert not (repository / "f g").exists()


def test_looking_runs_nothing_of_the_user_s_and_leaves_nothing(repository: Path) -> None:
    """Neither hooks nor filters, whatever the settings and attributes say."""
    ran = repository.parent / "ran"
    (repository / ".git/hooks").mkdir(exist_ok=True)
    for name in ("post-index-change", "post-checkout"):
        (repository / ".git/hooks" / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (repository / ".git/hooks" / name).chmod(0o755)
    git(repository, "status")
    git(repository, "sparse-checkout", "set", "b/d")
    (repository / ".git/info/attributes").write_text("* filter=f\n")
    for setting in (("filter.f.smudge", "false"), ("filter.f.required", "true"), ("core.splitIndex", "true")):
        git(repository, "config", *setting)
    ran.unlink(missing_ok=True)
    before = {path: path.stat().st_mtime_ns for path in repository.rglob("*") if path.is_file()}
    assert set(hidden_by(Repository.around(repository), ["x/new", "b/d/new"])) == {"x/new"}
    assert {path: path.stat().st_mtime_ns for path in repository.rglob("*") if path.is_file()} == before
    assert not ran.exists()
