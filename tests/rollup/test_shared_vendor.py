"""Services of one workspace share a vendor/: a rollup of one minds the others."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from contextlib import nullcontext
from pathlib import Path

import pytest

from commands import run, succeed
from conftest import commit, git
from environments import without_project
from histories import plain, twelvefold, write
from kill_points import KILLED, Points, at_point, each_point, kill
from rendered import render
from trees import tree
from twelvefold.engine import transaction
from twelvefold.service import Repository
from workspaces import MEMBERS, NEWER, Shared, begun, copied, share

CORE = "vendor/chassis/src/chassis/core.py"
DATABASE = "vendor/chassis-database/src/chassis_database/db.py"
TO_FOLLOW = (
    "the vendor/ that it shares is of another version than its memory. At the workspace's root: twelvefold rollup"
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    begun(folder)
    return folder


@pytest.fixture
def both(made: Path, tmp_path: Path) -> Shared:
    """Two services of 0.1.0 that share a vendor/."""
    return copied(made, tmp_path)


@pytest.fixture
def newer(both: Shared) -> Shared:
    """And a release with changes in it, that neither has."""
    both.history.release("0.2.0", NEWER)
    return both


def text(both: Shared, path: str) -> str:
    return (both.root / path).read_text(encoding="utf-8")


def test_right_after_they_share_it_nothing_is_to_be_done(both: Shared) -> None:
    before = tree(both.root)
    for name in ("a", "b"):
        assert "Nothing to do" in both.rollup(name)
        assert both.status(name) == [f"{name}: 0.1.0", "In step with the template."]
    assert tree(both.root) == before


def test_an_update_of_one_writes_there_and_names_the_other(newer: Shared) -> None:
    said = newer.rollup("a", exit_code=2)
    assert text(newer, CORE) == "CORE = 2\n"
    assert text(newer, DATABASE) == "DB = 1\n"
    assert not (newer.root / "vendor/chassis/src/chassis/old.py").exists()
    assert f"services/b: {TO_FOLLOW} services/b" in said
    assert "1 decision to look at." in said
    assert (newer.service("a") / "vendor").is_symlink()


def test_the_other_then_takes_its_own_and_all_agree(newer: Shared) -> None:
    newer.rollup("a", exit_code=2)
    after = newer.vendor
    said = newer.rollup("b")
    assert {path: file for path, file in newer.vendor.items() if "database" not in path} == {
        path: file for path, file in after.items() if "database" not in path
    }
    assert text(newer, DATABASE) == "DB = 2\n"
    assert "put back" not in said
    newer.save()
    for name in ("a", "b"):
        assert "Nothing to do" in newer.rollup(name)
        assert newer.status(name)[-1] == "In step with the template."


def test_it_changes_nothing_there_if_it_has_no_more_of_it(newer: Shared) -> None:
    newer.rollup("b", exit_code=2)
    before = newer.vendor
    newer.rollup("a")
    assert newer.vendor == before
    assert newer.manifest("a")[CORE]["sha256"] == newer.manifest("b")[CORE]["sha256"]


def test_check_and_status_agree(newer: Shared) -> None:
    newer.rollup("a", exit_code=2)
    newer.save()
    before = tree(newer.root)
    assert newer.run("a")[0] == 2
    code, said = newer.run("a", "--check")
    assert (code, f"services/b: {TO_FOLLOW} services/b" in said) == (2, True)
    assert newer.status("a", exit_code=1) == [
        "a: 0.2.0",
        f"services/b {TO_FOLLOW} services/b",
        "In step with the template, and not with its workspace.",
    ]
    assert newer.run("b", "--check")[0] == 1
    assert newer.status("b", exit_code=1) == [
        "b: 0.1.0",
        "An update to 0.2.0 is there. To see it: twelvefold rollup --diff",
        "vendor is of the version that services/a, which shares it, was updated to",
        "Not in step. To fix it: twelvefold rollup",
    ]
    assert tree(newer.root) == before


def test_an_edit_there_is_nobody_s_version(both: Shared) -> None:
    write(both.root, CORE, "CORE = 'patched'\n")
    listed = both.status("a", exit_code=1)
    assert listed[1:] == [f"{CORE} is not as the template has it", "Not in step. To fix it: twelvefold rollup"]
    said = both.rollup("b", exit_code=2)
    assert f"{CORE}: put back as the template has it" in said
    assert "services/a" not in said
    assert text(both, CORE) == "CORE = 1\n"


def test_a_file_that_was_deleted_there_comes_back(both: Shared) -> None:
    (both.root / CORE).unlink()
    assert f"{CORE}: put back, for the template needs it" in both.rollup("a", exit_code=2)
    assert text(both, CORE) == "CORE = 1\n"


def test_another_version_on_the_way_is_no_edit(newer: Shared) -> None:
    """From 0.1.0 over what the other was updated to: nothing is healed, nothing was deleted."""
    newer.rollup("a", exit_code=2)
    newer.history.release("0.3.0", {CORE: "CORE = 3\n", "vendor/chassis/src/chassis/old.py": "OLD = 3\n"})
    said = newer.rollup("b", exit_code=2)
    assert re.findall(r"^\S+: .*", said, re.MULTILINE)[1:] == [f"services/a: {TO_FOLLOW} services/a"]


def test_a_part_stays_while_another_needs_it(both: Shared) -> None:
    both.rollup("a", "--answer", "database=true")
    before = both.vendor
    both.rollup("b", "--answer", "database=false")
    assert both.vendor == before
    assert not [path for path in both.manifest("b") if "database" in path]
    said = both.rollup("a", "--answer", "database=false")
    assert not (both.root / "vendor/chassis-database").exists()
    assert "services/b" not in said


def test_switched_on_and_off_beside_one_that_has_it_leaves_no_trace(both: Shared) -> None:
    before = tree(both.root)
    both.rollup("a", "--answer", "database=true")
    both.rollup("a", "--answer", "database=false")
    assert tree(both.root) == before


def test_it_stays_for_a_service_outside_of_the_sparse_checkout(both: Shared) -> None:
    both.rollup("a", "--answer", "database=true")
    both.save()
    git(both.root, "sparse-checkout", "set", "services/a", "vendor")
    assert not both.service("b").exists()
    both.rollup("a", "--answer", "database=false")
    assert text(both, DATABASE) == "DB = 1\n"


def test_what_the_chassis_from_an_index_leaves_is_an_empty_folder(both: Shared) -> None:
    both.history.questions["_chassis"] = "twelvefold-chassis==0.2.0"
    both.history.release("0.2.0")
    both.rollup("a")
    assert both.vendor
    both.rollup("b")
    assert (both.vendor, list((both.root / "vendor").iterdir())) == ({}, [])
    both.save()
    assert "Nothing to do" in both.rollup("a")


def test_changes_there_are_refused(newer: Shared) -> None:
    write(newer.root, "vendor/README.md", "Ours, not committed.\n")
    before = tree(newer.root)
    code, said = newer.run("a")
    assert (code, "not committed (vendor/README.md)" in said) == (2, True), said
    assert tree(newer.root) == before


def test_changes_of_another_service_are_not(newer: Shared) -> None:
    write(newer.root, "services/b/notes.txt", "Ours, not committed.\n")
    assert newer.run("a")[0] == 2
    assert text(newer, CORE) == "CORE = 2\n"


def test_what_git_does_not_have_there_is_not_replaced(newer: Shared) -> None:
    write(newer.root, ".gitignore", "vendor/chassis/src/chassis/new/\n")
    newer.save()
    write(newer.root, "vendor/chassis/src/chassis/new/more.py", "OURS = 1\n")
    code, said = newer.run("a")
    assert (code, "git ignores vendor/chassis/src/chassis/new/more.py" in said or "is not in git" in said) == (2, True)
    assert text(newer, "vendor/chassis/src/chassis/new/more.py") == "OURS = 1\n"
    assert text(newer, CORE) == "CORE = 1\n"


def test_what_git_ignores_there_is_refused(newer: Shared) -> None:
    write(newer.root, ".gitignore", "**/new/\n")
    said = newer.rollup("a", exit_code=2)
    assert "git ignores vendor/chassis/src/chassis/new/more.py, as .gitignore:1 says (**/new/)" in said
    assert text(newer, CORE) == "CORE = 1\n"


@pytest.mark.parametrize("flag", ["skip-worktree", "assume-unchanged"])
def test_what_is_hidden_there_is_refused_with_the_way_to_show_it(flag: str, newer: Shared) -> None:
    git(newer.root, "update-index", f"--{flag}", CORE)
    said = newer.rollup("a", exit_code=2)
    assert f"Hidden from git ({flag}): {CORE}" in said
    subprocess.run(said.rstrip().rpartition("\n")[2], shell=True, check=True)  # noqa: S602 - what a person types
    newer.rollup("a", exit_code=2)
    assert text(newer, CORE) == "CORE = 2\n"


def test_what_is_outside_of_a_sparse_checkout_there_is_refused_too(newer: Shared) -> None:
    git(newer.root, "sparse-checkout", "set", "services/a", "vendor/chassis-database")
    said = newer.rollup("a", exit_code=2)
    assert "Hidden from git (outside the sparse checkout): vendor/chassis/src/chassis/" in said
    subprocess.run(said.rstrip().rpartition("\n")[2], shell=True, check=True)  # noqa: S602 - what a person types
    newer.rollup("a", exit_code=2)
    assert text(newer, CORE) == "CORE = 2\n"


def test_a_commit_has_the_service_and_vendor_and_nothing_else(newer: Shared) -> None:
    newer.save()
    write(newer.root, "services/b/notes.txt", "Ours, staged.\n")
    git(newer.root, "add", "services/b/notes.txt")
    assert newer.run("a", "--commit")[0] == 2
    assert git(newer.root, "status", "--porcelain") == "M  services/b/notes.txt\n"
    listed = git(newer.root, "show", "--name-status", "--format=", "--no-renames", "HEAD").splitlines()
    assert sorted(listed) == [
        "A\tvendor/chassis/src/chassis/new/more.py",
        "D\tvendor/chassis/src/chassis/old.py",
        "M\tservices/a/.twelvefold/manifest.json",
        "M\tservices/a/.twelvefold/template.json",
        "M\tservices/a/Makefile",
        "M\tvendor/chassis/src/chassis/core.py",
    ]


def test_an_edited_file_that_goes_is_in_the_report_as_git_has_it(newer: Shared) -> None:
    write(newer.root, "vendor/chassis/src/chassis/old.py", "OLD = 1\nOURS = 1\n")
    report = newer.root.parent / "report.json"
    newer.rollup("a", "--report", str(report), exit_code=2)
    decisions = {one["path"]: one for one in json.loads(report.read_bytes())["decisions"]}
    assert decisions["vendor/chassis/src/chassis/old.py"]["outcome"] == "removed"
    assert "\n OLD = 1\n+OURS = 1\n" in decisions["vendor/chassis/src/chassis/old.py"]["patch"]
    assert decisions["services/b"]["outcome"] == "out-of-step"


def test_an_edit_is_shown_against_what_the_service_had_before_it_shared(newer: Shared, tmp_path: Path) -> None:
    """git has the template's text in the service's own vendor/ alone."""
    old = "vendor/chassis/src/chassis/old.py"
    shutil.rmtree(newer.root / ".git")
    unshared(newer)
    commit(newer.root, "A vendor/ each")
    write(newer.service("b"), old, "OLD = 1\nOURS = 1\n")
    share(newer.root, "services/b", "services/a")
    report = tmp_path / "report.json"
    newer.rollup("a", "--report", str(report), exit_code=2)
    (patch,) = [one["patch"] for one in json.loads(report.read_bytes())["decisions"] if one["path"] == old]
    assert "\n OLD = 1\n+OURS = 1\n" in patch


def test_on_a_branch_that_shares_it_where_this_one_does_not(newer: Shared) -> None:
    newer.save()
    git(newer.root, "branch", "update/now")
    unshared(newer)
    newer.save()
    assert newer.run("a", "--branch", "update/now")[0] == 2
    assert git(newer.root, "status", "--porcelain") == ""
    assert git(newer.root, "show", f"update/now:{CORE}") == "CORE = 2\n"


# Killed


@pytest.fixture
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No fsync: what a killed process has written is there."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)


@pytest.mark.usefixtures("_without_waiting")
@pytest.mark.parametrize("step", [17, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_anywhere_the_same_command_finishes_it(step: int, newer: Shared) -> None:
    newer.save()
    pristine = newer.root.with_name("pristine")
    shutil.copytree(newer.root, pristine, symlinks=True)
    old = tree(newer.root)
    assert newer.run("a")[0] == 2
    new = tree(newer.root)

    def reset() -> None:
        shutil.rmtree(newer.root)
        shutil.copytree(pristine, newer.root, symlinks=True)

    was_open = 0
    for number, end in each_point(newer.root, reset, lambda: newer.run("a"), step=step):
        assert end.code == KILLED
        if transaction.is_open(Repository.around(newer.service("a")).state):
            was_open += 1
            assert newer.run("a")[0] == 2
            assert tree(newer.root) == new, number
        else:
            assert tree(newer.root) in (old, new), number
        assert (newer.service("a") / "vendor").is_symlink()
        assert (newer.root / "vendor").is_dir()
    assert was_open


@pytest.fixture
def stopped(newer: Shared, _without_waiting: None) -> Shared:
    """An update of `a` that was killed when it had written a part."""
    newer.save()
    journal = Repository.around(newer.service("a")).state / "journal.json"
    end, _ = at_point(Points(newer.root, 6, kill, since=journal), lambda: newer.run("a"))
    assert (end.code, journal.exists()) == (KILLED, True)
    return newer


def test_the_other_waits_for_one_that_was_interrupted(stopped: Shared) -> None:
    before = tree(stopped.root)
    code, said = stopped.run("b")
    assert (code, "An update of services/a, which shares this vendor/, goes on or was interrupted" in said) == (2, True)
    assert any("services/a has an update that was interrupted" in line for line in stopped.status("b", exit_code=1))
    assert tree(stopped.root) == before
    way = said.rpartition("finish it: twelvefold ")[2].split()
    done = twelvefold(*way, "--template", stopped.history.repository, "--no-lock")
    assert "Finished the update that was interrupted." in done.output
    assert stopped.rollup("b") is not None


def test_it_can_be_given_up(stopped: Shared) -> None:
    write(stopped.root, CORE, "OURS = 1\n")
    code, said = stopped.run("a")
    assert (code, f"{CORE} was changed after an update was interrupted" in said) == (2, True)
    way = re.search(r"give that update up: (git .*)", said)
    assert way
    subprocess.run(way[1], shell=True, check=True)  # noqa: S602 - what a person types
    assert git(stopped.root, "status", "--porcelain") == ""
    assert text(stopped, CORE) == "CORE = 1\n"


def test_two_at_once_keep_each_other_out(both: Shared) -> None:
    turns = {Repository.around(both.service(name)).turn for name in ("a", "b")}
    assert turns == {Repository.around(both.root).turn}
    assert len({Repository.around(both.service(name)).state for name in ("a", "b")}) == 2


def test_what_another_needs_since_the_plan_is_not_removed(both: Shared, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other has switched a part on between the plan and the first write."""
    both.rollup("a", "--answer", "database=true")
    both.rollup("b", "--answer", "database=false")
    both.save()
    refuse = Repository.refuse_changes

    def refuse_changes(repository: Repository) -> None:
        monkeypatch.setattr(Repository, "refuse_changes", refuse)
        assert both.run("b", "--answer", "database=true", "--commit")[0] == 0
        refuse(repository)

    monkeypatch.setattr(Repository, "refuse_changes", refuse_changes)
    monkeypatch.setattr("twelvefold.engine.rollup.locked", lambda _repository: nullcontext())  # it came before the lock
    code, said = both.run("a", "--answer", "database=false")
    assert (code, "Another service of the workspace was updated while this update was planned" in said) == (2, True)
    assert text(both, DATABASE) == "DB = 1\n"


# Links


@pytest.mark.parametrize("link", ["../../elsewhere", "../b/vendor", "/tmp", "../../vendor/chassis"])  # noqa: S108
def test_a_link_that_leads_elsewhere_is_refused(link: str, newer: Shared) -> None:
    shutil.copytree(newer.root / "vendor", newer.root / "elsewhere")
    (newer.service("a") / "vendor").unlink()
    (newer.service("a") / "vendor").symlink_to(link)
    newer.save()
    before = tree(newer.root)
    code, said = newer.run("a")
    assert code == 2
    assert "vendor is a symbolic link, which an update would follow, and it does not lead to ../../vendor" in said
    assert tree(newer.root) == before


def test_a_link_in_the_shared_folder_is_refused(newer: Shared, tmp_path: Path) -> None:
    shutil.move(newer.root / "vendor/chassis", tmp_path / "outside")
    (newer.root / "vendor/chassis").symlink_to(tmp_path / "outside")
    newer.save()
    before = tree(tmp_path / "outside")
    code, said = newer.run("a")
    assert (code, "vendor/chassis is a symbolic link" in said) == (2, True)
    assert tree(tmp_path / "outside") == before


def test_a_link_without_a_workspace_is_refused(newer: Shared) -> None:
    (newer.root / "pyproject.toml").unlink()
    newer.save()
    code, said = newer.run("a")
    assert (code, "does not have this one among the members of [tool.uv.workspace]" in said) == (2, True)


def test_plain_scaraplate_is_refused_with_the_command(newer: Shared) -> None:
    newer.save()
    before = tree(newer.root)
    done = plain(newer.history, newer.service("a"))
    assert (done.exit_code, "Run: twelvefold rollup" in done.output) == (2, True), done.output
    assert tree(newer.root) == before


# A root that is a service, and services with a vendor/ each


@pytest.fixture
def rooted(both: Shared, tmp_path: Path) -> Shared:
    """A root that is a service of 0.1.0 itself, with a database; and `a`, which shares its vendor/."""
    root = render(tmp_path / "rooted", both.history.repository, project_slug="shop", database=True)
    with (root / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{MEMBERS}")
    shutil.copytree(both.service("a"), root / "services/a", symlinks=True)
    commit(root, "Rendered")
    return Shared(both.history, root)


def test_a_root_that_is_a_service_shares_its_own(rooted: Shared) -> None:
    rooted.rollup("a", "--answer", "database=true")
    assert "Nothing to do" not in rooted.rollup("..", "--answer", "database=false")
    assert (rooted.root / DATABASE).is_file()
    rooted.rollup("a", "--answer", "database=false")
    assert not (rooted.root / "vendor/chassis-database").exists()
    rooted.history.release("0.2.0", NEWER)
    assert f".: {TO_FOLLOW} ." in rooted.rollup("a", exit_code=2)
    rooted.rollup("..")
    assert "Nothing to do" in rooted.rollup("a")


def unshared(both: Shared) -> None:
    """Give each a vendor/ of its own, as they are rendered."""
    for name in ("a", "b"):
        (both.service(name) / "vendor").unlink()
        shutil.copytree(both.root / "vendor", both.service(name) / "vendor")
    shutil.rmtree(both.service("a") / "vendor/chassis-database")
    shutil.rmtree(both.root / "vendor")


def test_two_with_a_vendor_each_are_told_what_to_type(both: Shared) -> None:
    unshared(both)
    write(both.service("b"), "vendor/acme/acme.py", "ACME = 1\n")
    write(both.service("b"), ".gitignore", text(both, "services/b/.gitignore") + "__pycache__/\n")
    write(both.service("b"), "vendor/chassis/src/chassis/__pycache__/core.pyc", "\0")
    said = both.rollup("a", exit_code=2)
    assert "vendor: services/a and services/b are services of one workspace" in said
    assert "git mv services/a/vendor vendor && ln -s ../../vendor services/a/vendor" in said
    assert any(line.startswith("vendor services/a and services/b") for line in both.status("a", exit_code=1))
    assert both.run("b")[0] == 2
    way = re.search(r"type this, and commit: (.*)", said)
    assert way
    subprocess.run(way[1], shell=True, check=True, cwd=both.root)  # noqa: S602 - what a person types
    for name in ("a", "b"):
        assert "Nothing to do" in both.rollup(name)
    assert {path.split("/")[0] for path in both.vendor} == {"README.md", "acme", "chassis", "chassis-database"}


def test_the_third_joins_those_that_share(both: Shared) -> None:
    shutil.copytree(both.service("b"), both.service("c"), symlinks=True)
    (both.service("c") / "vendor").unlink()
    shutil.copytree(both.root / "vendor", both.service("c") / "vendor")
    way = (
        "git rm -rq --ignore-unmatch services/c/vendor && rm -rf services/c/vendor && "
        "ln -s ../../vendor services/c/vendor"
    )
    for name in ("a", "c"):
        assert f"type this, and commit: {way}\n" in both.rollup(name, exit_code=2)
    subprocess.run(way, shell=True, check=True, cwd=both.root)  # noqa: S602 - what a person types
    assert "Nothing to do" in both.rollup("c")


def test_folders_of_one_name_that_are_the_teams_are_told_first(both: Shared) -> None:
    unshared(both)
    for name in ("a", "b"):
        write(both.service(name), "vendor/acme/acme.py", f"ACME = '{name}'\n")
    said = both.rollup("a", exit_code=2)
    assert "services/b/vendor/acme is not the template's, and another has that name. Give it another one first" in said


def test_a_damaged_memory_of_another_is_refused(newer: Shared) -> None:
    write(newer.service("b"), ".twelvefold/manifest.json", "{")
    said = newer.rollup("a", exit_code=2)
    assert "What services/b needs in vendor/ is not known" in said
    assert f"Restore it in {newer.root}: git checkout -- services/b/.twelvefold/manifest.json" in said


# The template itself


@pytest.fixture
def real(template: Path, tmp_path: Path) -> Path:
    """A workspace with two services of the template, the second with a database, and a lock."""
    root = tmp_path / "shop"
    (root / "services").mkdir(parents=True)
    for name, database in (("a", False), ("b", True)):
        render(root / "services", template, project_slug=name, database=database)
    shutil.copy(root / "services/b/pyproject.toml", root / "pyproject.toml")
    constraints = tomllib.loads(text_of(root / "pyproject.toml"))["tool"]["uv"]["constraint-dependencies"]
    (root / "pyproject.toml").write_text(
        f"{MEMBERS}[tool.uv]\nconstraint-dependencies = {json.dumps(constraints)}\n", encoding="utf-8"
    )
    share(root, "services/b", "services/a")
    (root / ".gitignore").write_text("__pycache__/\n.venv/\n", encoding="utf-8")
    succeed("uv", "lock", "--quiet", cwd=root, env=without_project())
    commit(root, "Rendered")
    return root


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_uv_locks_the_services_of_the_template_and_an_update_locks_them_again(
    real: Path, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("UV_PYTHON", "VIRTUAL_ENV"):
        monkeypatch.delenv(name, raising=False)
    locked = tomllib.loads(text_of(real / "uv.lock"))
    assert {"a", "b"} <= {*locked["manifest"]["members"]}
    (chassis,) = [one["source"]["editable"] for one in locked["package"] if one["name"] == "twelvefold-chassis"]
    assert (real / chassis).resolve() == real / "vendor/chassis"
    for name in ("a", "b"):
        assert succeed("make", "--silent", "vendored", cwd=real / "services" / name, env=without_project()) == ""
    fork = Path(shutil.copytree(template, tmp_path / "fork"))
    project = fork / "<<cookiecutter.project_slug>>/pyproject.toml"
    project.write_text(text_of(project).replace('  "fastapi",\n', '  "fastapi",\n  "click",\n'), encoding="utf-8")
    write(fork, "<<cookiecutter.project_slug>>/vendor/README.md", "Another.\n")
    commit(fork, "Another")
    done = twelvefold("rollup", real / "services/a", "--template", fork, "--ref", "HEAD", "--commit")
    assert done.exit_code == 2, done.output
    assert f"services/b: {TO_FOLLOW} services/b" in done.output
    assert not (real / "services/a/uv.lock").exists()
    assert "uv.lock" in git(real, "show", "--name-only", "--format=", "HEAD").splitlines()
    assert git(real, "status", "--porcelain") == ""
    (mine,) = [one for one in tomllib.loads(text_of(real / "uv.lock"))["package"] if one["name"] == "a"]
    assert "click" in {one["name"] for one in mine["dependencies"]}
    refused = run("make", "--silent", "vendored", cwd=real / "services/b", env=without_project())
    assert (refused.returncode, "vendor/README.md was changed" in refused.stderr) == (2, True)
    done = twelvefold("rollup", real / "services/b", "--template", fork, "--ref", "HEAD", "--commit", "--no-lock")
    assert done.exit_code == 0, done.output
    for name in ("a", "b"):
        assert succeed("make", "--silent", "vendored", cwd=real / "services" / name, env=without_project()) == ""


@pytest.mark.slow
def test_make_uses_the_lock_and_the_environment_of_the_workspace(real: Path) -> None:
    environment = without_project()
    for name, passed in (("a", "5 passed"), ("b", "7 passed")):
        assert passed in succeed("make", "test", cwd=real / "services" / name, env=environment)
        succeed("make", "lint", cwd=real / "services" / name, env=environment)
        assert "Installing" not in succeed("make", "install", cwd=real / "services" / name, env=environment)
    assert [path.parent for path in real.rglob(".venv")] == [real]
    assert [path.parent for path in real.rglob("uv.lock")] == [real]
    succeed("make", "build", cwd=real / "services/b", env=environment)
    wheels = sorted(path.name.partition("-")[0] for path in (real / "services/b/dist").glob("*.whl"))
    assert wheels == ["b", "twelvefold_chassis", "twelvefold_chassis_database"]
    assert git(real, "status", "--porcelain") == ""
