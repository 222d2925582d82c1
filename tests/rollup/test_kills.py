"""`twelvefold` and plain `scaraplate`, killed and hurt at every moment; two at once; none that changes a byte."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from children import child
from commands import run
from conftest import commit, git
from histories import FILES, MERGED, SLUG, History, edit, render, twelvefold, write
from kill_points import KILLED, Points, at_point, each_point, fill_the_disk, interrupt, kill
from read_only import read_only
from required import require_program
from trees import tree
from twelvefold.commands import INTERRUPTED
from twelvefold.engine import transaction
from twelvefold.engine.rendering.imports import imports_apart
from twelvefold.service import File, Service

TWELVEFOLD: tuple[str | Path, ...] = (sys.executable, "-c", "from twelvefold.cli import main; main()")
Tree = Mapping[str, tuple[int, bytes] | None]
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
    """No fsync: what a killed process has written is there. A uv that is quick."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)
    write(tmp_path, "bin/uv", UV)
    (tmp_path / "bin/uv").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def older(tmp_path: Path) -> History:
    (tmp_path / "template").mkdir()
    history = History(tmp_path / "template")
    history.release("0.1.0")
    return history


@pytest.fixture
def case(older: History, tmp_path: Path) -> Case:
    history = older
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


def killed_everywhere(case: Case, arguments: tuple[str, ...], step: int = 1) -> int:
    old = whole(case.pristine)
    new, code, report = uninterrupted(case, *arguments)
    said_at = count = 0
    for number, end in each_point(case.service, case.reset, case.action(*arguments), step=step):
        count += 1
        assert end.code == KILLED
        now = whole(case.service)
        for path, file in now.items():
            assert file is None or file in (old.get(path), new.get(path)), (number, path)
        if not case.is_open:
            assert now in (old, new), number
            if now == new or count % 5:
                continue
        else:
            said_at += 1
            if said_at % 8 == 1:
                check_that_it_is_said(case)
        assert case.rollup(*arguments)[0] == code, number
        assert whole(case.service) == new, number
        assert case.report() == report, number
        assert not case.is_open
        if "--commit" in arguments:
            assert git(case.service, "status", "--porcelain") == "", number
            assert git(case.service, "rev-list", "--count", "HEAD").strip() == "3", number
    assert said_at
    return count


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_every_write_the_same_command_finishes_it(step: int, case: Case) -> None:
    count = killed_everywhere(case, ("--no-lock", "--report", str(case.tmp / "report.json")), step)
    assert count * step > 60


@pytest.mark.parametrize("step", [29, pytest.param(1, marks=pytest.mark.deep)])
def test_killed_at_every_write_with_a_lock_a_branch_and_a_commit(step: int, case: Case) -> None:
    arguments = ("--commit", "--branch", "update/now", "--report", str(case.tmp / "report.json"))
    killed_everywhere(case, arguments, step)
    assert git(case.service, "branch", "--show-current").strip() == "update/now"
    assert (case.service / "uv.lock").read_text() == "locked"


@pytest.mark.slow
def test_interrupted_by_the_user_at_every_write(case: Case) -> None:
    arguments = ("--no-lock", "--report", str(case.tmp / "report.json"))
    new, code, _ = uninterrupted(case, *arguments)
    for number, end in each_point(case.service, case.reset, case.action(*arguments), interrupt):
        assert end.code == 130, number
        assert "Interrupted. If files were being changed, the next command finishes that" in end.said
        assert "Traceback" not in end.said
        if whole(case.service) != new or case.is_open:
            assert case.rollup(*arguments)[0] == code, number
        assert whole(case.service) == new, number


@pytest.mark.parametrize("step", [13, pytest.param(1, marks=pytest.mark.deep)])
def test_a_full_disk_is_exit_code_3_and_can_be_finished(step: int, case: Case) -> None:
    arguments = ("--no-lock", "--report", str(case.tmp / "report.json"))
    old = whole(case.pristine)
    new, code, _ = uninterrupted(case, *arguments)
    for number, end in each_point(case.service, case.reset, case.action(*arguments), fill_the_disk, step=step):
        assert "Traceback" not in end.said
        if end.code == code:
            assert whole(case.service) == new, number
            continue
        assert (end.code, "No space left on device" in end.said) == (3, True), (number, end)
        if not case.is_open:
            assert whole(case.service) in (old, new), number
        else:
            assert case.rollup(*arguments)[0] == code, number
            assert whole(case.service) == new, number


def test_ctrl_c_really(case: Case) -> None:
    """A signal to the process itself, while the lock of the dependencies is made."""
    write(case.tmp, "bin/uv", '#!/bin/sh\ntouch "$4/.git/started"\nexec sleep 60\n')
    command = (*TWELVEFOLD, "rollup", case.service, "--template", case.history.repository)
    with child(*command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        while not (case.service / ".git/started").exists():
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as the terminal does: uv gets it too
        said, _ = process.communicate(timeout=30)
    assert (process.returncode, "Interrupted." in said, "Traceback" in said) == (130, True, False), said
    write(case.tmp, "bin/uv", UV)
    code, said = case.rollup()
    assert (code, "Finished the update that was interrupted." in said) == (2, True), said
    assert (case.service / "uv.lock").read_text() == "locked"


def test_what_was_to_be_committed_is_committed_by_whoever_finishes_it(case: Case) -> None:
    case.stop("--commit", "--no-lock")
    code, said = case.rollup("--no-lock")
    assert (code, "put back as the template has it" in said) == (2, True), said
    assert git(case.service, "status", "--porcelain") == ""
    assert "update from the template, 0.1.0 to 0.2.0" in git(case.service, "log", "-1", "--format=%s")
    assert "Nothing to do" in case.rollup()[1]


def test_what_was_not_to_be_committed_is_by_a_command_that_asks_for_it(case: Case) -> None:
    case.stop("--no-lock")
    assert case.rollup("--no-lock", "--branch", "update/now")[0] == 2
    assert git(case.service, "status", "--porcelain") == ""
    assert git(case.service, "branch", "--show-current").strip() == "update/now"


def test_what_is_finished_and_not_committed_stands_before_another_update(case: Case) -> None:
    case.stop("--no-lock")
    case.history.release("0.3.0", {"Makefile": "run:\n\techo newest\n"})
    code, said = case.rollup("--no-lock")
    assert code == 2
    assert "Finished the update that was interrupted." in said
    assert "There are changes that are not committed" in said
    assert (case.service / "Makefile").read_text() == NEWER["Makefile"]
    commit(case.service, "Finished")
    assert case.rollup("--no-lock")[0] == 0
    assert (case.service / "Makefile").read_text() == "run:\n\techo newest\n"


def test_what_is_finished_and_committed_is_to_be_looked_at_after_another_update_too(case: Case) -> None:
    case.stop("--no-lock", "--commit")
    case.history.release("0.3.0", {"Makefile": "run:\n\techo newest\n"})
    code, said = case.rollup("--no-lock", "--commit")
    assert (code, "put back as the template has it" in said, "0.2.0 → 0.3.0" in said) == (2, True, True), said
    assert case.rollup("--no-lock")[0] == 0


def test_what_belongs_on_another_branch_is_refused(case: Case) -> None:
    case.stop("--no-lock", "--branch", "update/now")
    git(case.service, "switch", "--quiet", "main")
    before = whole(case.service)
    code, said = case.rollup("--no-lock")
    assert code == 2
    way = re.search(r"belongs on the branch update/now\. Run: (git .*)", said)
    assert way, said
    assert whole(case.service) == before
    subprocess.run(way[1], shell=True, check=True, cwd=case.service)  # noqa: S602 - what a person types
    assert case.rollup("--no-lock")[0] == 2
    assert git(case.service, "log", "-1", "--format=%D").strip() == "HEAD -> update/now"


def test_a_commit_that_a_hook_refuses_is_said_with_the_report(case: Case) -> None:
    write(case.service, ".git/hooks/pre-commit", "#!/bin/sh\necho no such luck >&2\nexit 1\n")
    (case.service / ".git/hooks/pre-commit").chmod(0o755)
    code, said = case.rollup("--no-lock", "--commit")
    assert code == 3
    assert "The service is updated, but not committed: git commit: no such luck." in said
    assert "owned/core.py: put back as the template has it" in said
    assert not case.is_open
    (case.service / ".git/hooks/pre-commit").unlink()
    commit(case.service, "By hand")
    assert "Nothing to do" in case.rollup()[1]


def test_an_edit_since_is_refused_with_a_way_out(case: Case) -> None:
    case.stop("--no-lock")
    write(case.service, "pyproject.toml", "[ours]\n")
    code, said = case.rollup("--no-lock")
    assert (code, "pyproject.toml was changed after an update was interrupted" in said) == (2, True)
    assert (case.service / "pyproject.toml").read_text() == "[ours]\n"
    way = re.search(r"give that update up: (git .*)", said)
    assert way
    subprocess.run(way[1], shell=True, check=True)  # noqa: S602 - what a person types
    assert whole(case.service) == whole(case.pristine)
    assert case.rollup("--no-lock")[0] == 2


def test_a_report_that_cannot_be_is_refused_before_anything_is_done(case: Case) -> None:
    before = everything(case.service)
    code, said = case.rollup("--no-lock", "--report", str(case.tmp / "report.txt"))
    assert (code, "a report is FILE.md or FILE.json" in said) == (2, True)
    assert everything(case.service) == before


def test_folders_that_cannot_be_written_to_are_said_and_nothing_changes(case: Case) -> None:
    command: list[str | Path] = [
        *TWELVEFOLD,
        "rollup",
        case.service,
        "--no-lock",
        "--template",
        case.history.repository,
    ]
    for folder in (case.service / "owned", case.service):
        done = run(*read_only(folder), *command)
        assert (done.returncode, "Traceback" in done.stderr) == (3, False), done.stderr
        assert str(folder) in done.stderr
        assert whole(case.service) == whole(case.pristine)
        assert not case.is_open


def test_the_git_directory_on_another_disk(case: Case) -> None:
    memory = Path("/dev/shm")  # noqa: S108 - another file system
    if not memory.is_dir() or memory.stat().st_dev == case.tmp.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    new, code, _ = uninterrupted(case, "--no-lock", "--report", str(case.tmp / "report.json"))
    shutil.rmtree(case.service)
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        git(case.tmp, "clone", "--quiet", f"--separate-git-dir={folder}/git", str(case.pristine), str(case.service))
        journal = Path(folder) / "git/twelvefold/service/journal.json"
        end, _ = at_point(Points(case.service, 6, kill, since=journal), case.action("--no-lock"))
        assert (end.code, journal.exists()) == (KILLED, True)
        assert twelvefold("rollup", case.service, "--check").output == f"{INTERRUPTED}\n"
        assert case.rollup("--no-lock", "--commit")[0] == code
        assert whole(case.service) == new
        assert git(case.service, "status", "--porcelain", "--ignored") == ""


@pytest.mark.slow
def test_of_eight_at_once_one_does_it_and_the_others_wait_or_refuse(case: Case) -> None:
    command: list[str | Path] = [
        *TWELVEFOLD,
        "rollup",
        case.service,
        "--no-lock",
        "--template",
        case.history.repository,
        "--commit",
    ]
    new, _, _ = uninterrupted(case, "--no-lock", "--report", str(case.tmp / "report.json"))
    case.reset()
    with ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda _: run(*command), range(8)))
    said = [end.stdout + end.stderr for end in ends]
    assert not [text for text in said if "Traceback" in text]
    assert {end.returncode for end in ends} <= {0, 2}, said
    assert sum("changed  Makefile" in text for text in said) == 1, said
    assert whole(case.service) == new
    assert git(case.service, "status", "--porcelain") == ""
    assert git(case.service, "rev-list", "--count", "HEAD").strip() == "3"


def test_an_update_between_two_reads_of_another_loses_nothing(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one has read pyproject.toml, and reads its last-applied copy when that is newer."""
    new, _, _ = uninterrupted(case, "--no-lock", "--report", str(case.tmp / "report.json"))
    case.reset()
    read = Service.file
    is_done: list[str] = []

    def file(self: Service, path: str) -> File | None:
        if path == ".twelvefold/applied/pyproject.toml" and not is_done:
            is_done.append(path)
            run(*TWELVEFOLD, "rollup", case.service, "--no-lock", "--commit", "--template", case.history.repository)
        return read(self, path)

    monkeypatch.setattr(Service, "file", file)
    code, said = case.rollup("--no-lock")
    assert (code, "Another update was made while this one was planned" in said) == (2, True), said
    assert whole(case.service) == new
    assert git(case.service, "status", "--porcelain") == ""


@pytest.mark.parametrize("is_named", [True, False])
def test_a_no_op_changes_no_file_and_no_time(is_named: bool, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWELVEFOLD_TRUST", str(case.history.repository))
    case.rollup("--no-lock", "--commit")
    named = ["--template", str(case.history.repository)] if is_named else []
    before = everything(case.service)
    for arguments in ([], ["--commit"], ["--check"], ["--diff"], ["--branch", "other"]):
        done = twelvefold("rollup", case.service, *named, *arguments)
        assert done.exit_code == 0, done.output
    assert twelvefold("status", case.service).exit_code == 0
    assert everything(case.service) == before


def test_the_system_sees_no_file_opened_for_writing_by_a_no_op(case: Case) -> None:
    log = case.tmp / "strace.log"
    require_program("strace")
    if run("strace", "-o", log, "true").returncode:
        pytest.skip("needs a system that lets strace look")
    case.rollup("--no-lock", "--commit")
    calls = "trace=open,openat,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,chmod,fchmodat,utimensat"
    command: list[str | Path] = [*TWELVEFOLD, "rollup", case.service, "--template", case.history.repository]
    done = run("strace", "-f", "-o", log, "-e", calls, *command, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    assert done.returncode == 0, done.stderr
    lines = log.read_text(errors="replace").splitlines()
    assert [line for line in lines if "manifest.json" in line]
    writing = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC| (?:creat|rename|unlink|mkdir|chmod|fchmod|utimens)\w*\(")
    assert [line for line in lines if writing.search(line) and '"/dev/null"' not in line] == []


@pytest.mark.parametrize("step", [29, pytest.param(1, marks=pytest.mark.deep)])
def test_an_adoption_that_was_killed_is_finished_by_either_command(step: int, older: History, tmp_path: Path) -> None:
    service, pristine = tmp_path / SLUG, tmp_path / "pristine"
    write(pristine, "pyproject.toml", '[project]\nname = "pay-api"\ndependencies = ["httpx"]\n')
    write(pristine, "README.md", "# Pay\n")
    commit(pristine, "Ours")
    named = ("--template", str(older.repository), "--no-lock")

    def reset() -> None:
        shutil.rmtree(service, ignore_errors=True)
        shutil.copytree(pristine, service)

    def adopt(*arguments: str) -> tuple[int, str]:
        done = twelvefold("adopt", service, *named, "--no-input", *arguments)
        return done.exit_code, done.output

    reset()
    code, said = adopt("--yes")
    assert code in (0, 2), said
    new = whole(service)
    opened = 0
    for number, _ in each_point(service, reset, lambda: adopt("--yes"), step=step):
        if not transaction.is_open(service / ".git/twelvefold/service"):
            assert whole(service) in (whole(pristine), new), number
            continue
        opened += 1
        before = everything(service)
        assert adopt() == (1, f"{INTERRUPTED}\n")
        assert twelvefold("status", service).exit_code == 1
        assert everything(service) == before
        done = adopt("--yes")[0] if opened % 2 else twelvefold("rollup", service, *named).exit_code
        assert done == code, number
        assert whole(service) == new, number
    assert opened


@pytest.mark.slow
@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize("step", [29, pytest.param(1, marks=pytest.mark.deep)])
def test_plain_scaraplate_killed_between_two_writes_keeps_the_base(
    step: int, is_reversed: bool, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The template's old text is not taken for the team's choice, whichever of file and copy comes first."""
    from scaraplate.rollup import rollup

    case.history.release("0.3.0", {path: changed(path) for path in MERGED if path in FILES})
    checkout = case.tmp / "checkout"
    git(case.tmp, "clone", "--quiet", str(case.history.repository), str(checkout))
    walk = os.walk

    def sorted_walk(top: Any, topdown: bool = True, **options: Any) -> Iterator[tuple[str, list[str], list[str]]]:
        for folder, folders, files in walk(top, topdown, **options):
            folders.sort(reverse=is_reversed)
            yield folder, folders, sorted(files, reverse=is_reversed)

    monkeypatch.setattr(os, "walk", sorted_walk)

    def action() -> tuple[int, str]:
        with imports_apart(checkout), redirect_stdout(io.StringIO()):
            rollup(checkout, case.service, no_input=True)
        return 0, ""

    case.reset()
    assert at_point(Points(case.service, 0, kill), action)[0].code == 0
    new, old = whole(case.service), whole(case.pristine)
    assert b"line-length = 120" in (case.service / "pyproject.toml").read_bytes()
    assert not [path for path in MERGED if path in FILES and new[path] == old[path]]
    for number, _ in each_point(case.service, case.reset, action, step=step, halves=False):
        assert at_point(Points(case.service, 0, kill), action)[0].code == 0
        assert whole(case.service) == new, number


def changed(path: str) -> str:
    """The template's file with another text where the service has no edits."""
    old, new = {
        ".env.example": ("8000", "8080"),
        ".gitignore": ("*.pyc", "*.py[co]"),
        "ci.yml": ("make lint", "make lint types"),
        "config/legacy.json": ('"level": "info"', '"level": "debug"'),
        "notes.txt": ("three", "3"),
        "pyproject.toml": ("click==8", "click==9"),
    }[path]
    assert old in FILES[path]
    return FILES[path].replace(old, new)
