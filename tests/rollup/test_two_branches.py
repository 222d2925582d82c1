"""Two branches that both rolled up, merged by git: their memories go together, or either will do."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands import run
from conftest import commit, git
from histories import History, edit, rolled_up, twelvefold, write
from trees import tree


def branch_off(service: Path, name: str) -> None:
    git(service, "switch", "--quiet", "--create", name, "main")


def merge(service: Path, name: str) -> tuple[int, set[str]]:
    """Merge the branch; return git's exit code and what it could not merge."""
    done = run("git", "merge", "--quiet", "--no-edit", name, cwd=service)
    return done.returncode, set(git(service, "diff", "--name-only", "--diff-filter=U").splitlines())


@pytest.fixture
def newer(history: History) -> History:
    pyproject = history.files["pyproject.toml"]
    history.release("0.2.0", {"owned/core.py": "NEW = 2\n", "pyproject.toml": pyproject.replace("= 100", "= 110")})
    history.release("0.3.0", {"owned/more.py": "MORE = 3\n", "Makefile": "run:\n\techo three\n"})
    return history


def test_to_the_same_version_there_is_no_conflict(newer: History, service: Path) -> None:
    for name, mine in {"one": "seeds/one.py", "two": "seeds/two.py"}.items():
        branch_off(service, name)
        write(service, mine, f"NAME = {name!r}\n")
        rolled_up(newer, service, "0.3.0", "--commit")
    assert merge(service, "one") == (0, set())
    assert {"seeds/one.py", "seeds/two.py"} <= set(tree(service))
    assert "Nothing to do" in rolled_up(newer, service, "0.3.0")


def test_of_two_answers_to_two_questions_both_stay(newer: History, service: Path) -> None:
    for name, answer in {"one": "project_name=Ours", "two": "database=true"}.items():
        branch_off(service, name)
        rolled_up(newer, service, "0.1.0", "--commit", "--answer", answer)
    merge(service, "one")
    settle(service)
    rolled_up(newer, service, "0.1.0")
    said = (service / ".twelvefold/answers.json").read_text(encoding="utf-8")
    assert '"project_name": "Ours"' in said
    assert '"database": true' in said
    assert '"sqlalchemy"' in (service / "pyproject.toml").read_text(encoding="utf-8")


def settle(service: Path) -> None:
    """Take either side of what git could not merge, as the message says, and commit."""
    for path in git(service, "diff", "--name-only", "--diff-filter=U").splitlines():
        assert path.startswith(".twelvefold/"), path
        git(service, "checkout", "--ours", "--", path)
    commit(service, "Merged")


@pytest.mark.parametrize("side", ["--ours", "--theirs"])
def test_to_two_versions_either_side_will_do(side: str, newer: History, service: Path) -> None:
    """Of the memory alone: what it is of, git merges, and the next update puts right."""
    edit(service, "pyproject.toml", '"click",', '"click",\n  "ours",')
    commit(service, "Ours")
    for name, version in {"older": "0.2.0", "newer": "0.3.0"}.items():
        branch_off(service, name)
        rolled_up(newer, service, version, "--commit")
    direct = tree(service)
    code, conflicts = merge(service, "older")
    assert (code, conflicts) == (1, {".twelvefold/manifest.json", ".twelvefold/template.json"})
    before = tree(service)
    done = twelvefold("rollup", service, "--template", newer.repository, "--no-lock")
    assert (done.exit_code, tree(service)) == (2, before)
    assert "take either side, then update again" in done.output
    git(service, "checkout", side, ".twelvefold")
    assert tree(service) != direct or side == "--ours"
    rolled_up(newer, service, "0.3.0", "--commit")
    assert tree(service) == direct
    assert "Nothing to do" in rolled_up(newer, service, "0.3.0")
