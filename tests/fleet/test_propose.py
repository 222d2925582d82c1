"""What is proposed to one service, whatever its repository and its open request look like."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import git
from fleets import BRANCH, Fleet
from histories import MERGED
from locks import Desk
from twelvefold.fleet.results import TurnOutcome
from workspaces import NEWER, begun


@pytest.fixture
def one(fleet: Fleet) -> Fleet:
    """A fleet of one service, `pay`."""
    fleet.add("pay")
    return fleet


def test_an_update_is_a_branch_with_one_commit(one: Fleet) -> None:
    result = one.rollup()["pay"]
    assert result.outcome is TurnOutcome.PROPOSED
    assert (result.version, result.target) == ("0.1.0", "0.2.0")
    assert one.commits("pay", BRANCH) == ["chore: update from the template, 0.1.0 to 0.2.0", "Rendered"]
    assert "mended" in one.show("pay", "owned/core.py")
    assert one.commits("pay", "main") == ["Rendered"]
    assert result.proposal == git(one.repository("pay"), "rev-parse", BRANCH).strip()
    assert result.drift == ()


def test_a_second_run_finds_nothing_new_and_clones_nothing(one: Fleet) -> None:
    before = one.rollup()["pay"]
    clone = next(path for path in (one.folder / ".fleet/clones").iterdir() if path.is_dir())
    (clone / ".git/HEAD").unlink()  # whoever used the clone would have to mend it
    after = one.rollup()["pay"]
    assert (after.outcome, after.proposal) == (before.outcome, before.proposal)
    assert not (clone / ".git/HEAD").exists()


def test_a_service_in_step_is_left_alone(one: Fleet) -> None:
    one.rollup()
    one.merge("pay")
    result = one.rollup()["pay"]
    assert result.outcome is TurnOutcome.IN_STEP
    assert result.version == "0.2.0"
    assert [version for _, version in result.versions] == ["0.1.0", "0.2.0"]
    assert one.branches("pay") == ["main"]


def test_an_open_request_is_updated_by_adding_a_commit(one: Fleet) -> None:
    one.rollup()
    one.history.release("0.3.0", {"owned/core.py": '"""Mended again."""\n'})
    one.rollup()
    assert one.commits("pay", BRANCH) == [
        "chore: update from the template, 0.1.0 to 0.3.0",
        "chore: update from the template, 0.1.0 to 0.2.0",
        "Rendered",
    ]
    assert "Mended again" in one.show("pay", "owned/core.py")


def test_a_reviewer_s_commit_stays(one: Fleet) -> None:
    one.rollup()
    one.push("pay", "seeds/api.py", "REVIEWED = True\n", branch=BRANCH, message="Review")
    one.history.release("0.3.0", {"owned/core.py": '"""Mended again."""\n'})
    result = one.rollup()["pay"]
    assert result.outcome is TurnOutcome.PROPOSED
    assert one.commits("pay", BRANCH)[:2] == ["chore: update from the template, 0.1.0 to 0.3.0", "Review"]
    assert one.show("pay", "seeds/api.py") == "REVIEWED = True"


def test_when_main_moved_on_our_own_branch_is_made_anew(one: Fleet) -> None:
    one.rollup()
    one.push("pay", "seeds/api.py", "MOVED = True\n", message="On main")
    one.rollup()
    assert one.commits("pay", BRANCH) == [
        "chore: update from the template, 0.1.0 to 0.2.0",
        "On main",
        "Rendered",
    ]


def test_when_main_moved_on_and_a_reviewer_worked_it_is_merged_in(one: Fleet) -> None:
    one.rollup()
    one.push("pay", "notes-of-review.txt", "fine\n", branch=BRANCH, message="Review")
    one.push("pay", "seeds/api.py", "MOVED = True\n", message="On main")
    assert one.rollup()["pay"].outcome is TurnOutcome.PROPOSED
    assert {"Review", "On main"} <= set(one.commits("pay", BRANCH))
    assert one.show("pay", "notes-of-review.txt") == "fine"
    assert one.show("pay", "seeds/api.py") == "MOVED = True"


def test_what_git_cannot_merge_needs_a_person_and_changes_nothing(one: Fleet) -> None:
    one.rollup()
    one.push("pay", "seeds/api.py", "SIDE = 'review'\n", branch=BRANCH, message="Review")
    one.push("pay", "seeds/api.py", "SIDE = 'main'\n", message="On main")
    tip = git(one.repository("pay"), "rev-parse", BRANCH).strip()
    result = one.rollup(exit_code=2)["pay"]
    assert result.outcome is TurnOutcome.PERSON
    assert "Merge it there by hand" in result.sentence
    assert git(one.repository("pay"), "rev-parse", BRANCH).strip() == tip


def test_a_branch_that_is_not_needed_any_more_goes(one: Fleet) -> None:
    one.rollup()
    git(one.repository("pay"), "update-ref", "refs/heads/main", f"refs/heads/{BRANCH}")
    assert one.rollup()["pay"].outcome is TurnOutcome.IN_STEP
    assert one.branches("pay") == ["main"]


def test_a_branch_that_was_merged_and_left_is_used_again(one: Fleet) -> None:
    one.rollup()
    git(one.repository("pay"), "update-ref", "refs/heads/main", f"refs/heads/{BRANCH}")
    one.history.release("0.3.0", {"owned/core.py": '"""Mended again."""\n'})
    assert one.rollup()["pay"].outcome is TurnOutcome.PROPOSED
    assert one.commits("pay", BRANCH)[0] == "chore: update from the template, 0.2.0 to 0.3.0"


def test_a_healed_edit_needs_a_person_and_is_told(one: Fleet) -> None:
    one.push("pay", "owned/core.py", "PATCHED = 'in a hurry'\n")
    result = one.rollup(exit_code=2)["pay"]
    assert result.outcome is TurnOutcome.PERSON
    assert result.drift == ("owned/core.py",)
    assert "in a hurry" in result.report
    assert "mended" in one.show("pay", "owned/core.py")


def test_heal_says_so_beforehand(one: Fleet) -> None:
    one.configure(services=[{"url": "git/pay.git", "heal": True}])
    one.push("pay", "owned/core.py", "PATCHED = 'in a hurry'\n")
    assert one.rollup()["pay"].outcome is TurnOutcome.PROPOSED


def test_answers_and_a_ref_of_one_service(one: Fleet) -> None:
    one.configure(services=[{"url": "git/pay.git", "ref": "0.1.0", "answers": {"database": True}}])
    assert one.rollup()["pay"].target == "0.1.0"
    assert '"sqlalchemy"' in one.show("pay", "pyproject.toml")


def test_a_service_in_a_folder_of_a_monorepo(one: Fleet) -> None:
    mono = one.folder / "mono"
    git(one.folder, "clone", "--quiet", str(one.seed), "mono")
    (mono / "services").mkdir()
    for name in git(mono, "ls-tree", "--name-only", "HEAD").splitlines():
        git(mono, "mv", name, f"services/{name}")
    git(mono, "commit", "--quiet", "--message", "Into a folder")
    git(one.folder, "clone", "--quiet", "--bare", "mono", "git/mono.git")
    one.configure(services=[{"url": "git/mono.git", "folder": "services"}])
    assert one.rollup()["mono/services"].outcome is TurnOutcome.PROPOSED
    assert "mended" in one.show("mono", "services/owned/core.py")


def test_a_service_that_shares_the_vendor_of_its_workspace(tmp_path: Path) -> None:
    both = begun(tmp_path)
    both.history.release("0.2.0", NEWER)
    (tmp_path / "fleet/git").mkdir(parents=True)
    fleet = Fleet(tmp_path / "fleet", both.history, both.root)
    fleet.add("mono")
    for folder, other in (("services/a", "services/b"), ("services/b", "")):
        fleet.configure(services=[{"url": "git/mono.git", "folder": folder}])
        result = fleet.rollup(exit_code=2 if other else 0)[f"mono/{folder}"]
        assert result.outcome is (TurnOutcome.PERSON if other else TurnOutcome.PROPOSED)
        assert result.drift == ()
        assert fleet.show("mono", "vendor/chassis/src/chassis/core.py") == "CORE = 2"
        assert (f"At the workspace's root: twelvefold rollup {other}" in result.report) is bool(other)
        fleet.merge("mono")
    assert fleet.show("mono", "vendor/chassis-database/src/chassis_database/db.py", "main") == "DB = 2"


def test_check_says_what_would_change_and_writes_nothing_there(one: Fleet) -> None:
    result = one.rollup("--check", exit_code=1)["pay"]
    assert result.outcome is TurnOutcome.WOULD_CHANGE
    assert one.branches("pay") == ["main"]
    assert one.rollup()["pay"].outcome is TurnOutcome.PROPOSED


def test_an_unreadable_file_of_the_team_s_needs_a_person(one: Fleet) -> None:
    assert "pyproject.toml" in MERGED
    one.push("pay", "pyproject.toml", "[project\n")
    result = one.rollup(exit_code=2)["pay"]
    assert result.outcome is TurnOutcome.PERSON
    assert "pyproject.toml" in result.report


@pytest.fixture
def locked(one: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Fleet, Desk]:
    """`pay` has a lock, and depends on a package that has no wheel; a release changes what all are locked to."""
    desk = Desk(tmp_path / "desk")
    for name, version in (("click", "8"), ("fastapi", "0.100"), ("uvicorn", "1.0"), ("uvicorn", "2.0")):
        desk.wheel(name, version)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path / "desk/index"))
    pyproject = one.show("pay", "pyproject.toml", "main").replace('"uvicorn",', '"old>=1",\n  "uvicorn<2",')
    pyproject = pyproject.replace('version = "0.1.0"', 'version = "0.1.0"\nrequires-python = ">=3.11"')
    (desk.clone / "pyproject.toml").write_text(pyproject, encoding="utf-8")
    one.push("pay", "pyproject.toml", pyproject)
    one.push("pay", "uv.lock", desk.locked().decode())
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another-cache"))  # what was built is built again
    released = one.history.files["pyproject.toml"]
    one.history.release("0.3.0", {"pyproject.toml": released.replace('"click==8"', '"click>=7"')})
    one.configure(lock=True)
    return one, desk


def test_a_lock_that_needs_a_build_is_left_to_the_service_and_told(locked: tuple[Fleet, Desk]) -> None:
    one, desk = locked
    before = one.show("pay", "uv.lock", "main")
    result = one.rollup()["pay"]
    assert (result.outcome, result.target) == (TurnOutcome.PROPOSED, "0.3.0")
    assert result.sentence.endswith(" uv.lock: left to its own pipeline.")
    assert "`uv.lock`: left to its own pipeline, because without a build uv would lock other versions of old" in (
        result.report
    )
    assert "Please look at" not in result.report
    assert "click>=7" in one.show("pay", "pyproject.toml")
    assert one.show("pay", "uv.lock") == before
    assert not desk.ran.exists()


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["file", "option"])
def test_who_asks_for_builds_gets_the_lock(asked: str, locked: tuple[Fleet, Desk]) -> None:
    one, desk = locked
    one.configure(lock="build" if asked == "file" else True)
    before = one.show("pay", "uv.lock", "main")
    result = one.rollup(*(["--build"] if asked == "option" else []))["pay"]
    assert result.outcome is TurnOutcome.PROPOSED
    assert "left to its own" not in result.sentence
    lock = one.show("pay", "uv.lock")
    assert lock != before
    assert 'name = "old"\nversion = "2.0"' in lock
    assert desk.ran.exists()


def test_a_lock_is_not_remembered_from_a_run_without_builds(locked: tuple[Fleet, Desk]) -> None:
    one, _ = locked
    one.rollup()
    one.merge("pay")
    assert one.rollup()["pay"].inputs != one.rollup("--build")["pay"].inputs


def test_builds_without_a_lock_are_refused(one: Fleet) -> None:
    assert "--build is about uv lock, which lock = false in " in one.run("rollup", "--build", exit_code=2)
    one.configure(lock=True)
    assert "--build is about uv lock, which --no-lock" in one.run("rollup", "--build", "--no-lock", exit_code=2)
    one.configure(lock="yes")
    assert 'lock: is true, false, or "build"' in one.run("rollup", exit_code=2)
