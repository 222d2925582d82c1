"""`transaction`: the wanted tree or the old one, whatever happens in between."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from commands import run
from conftest import commit, git
from kill_points import KILLED, End, Points, at_point, each_point, fill_the_disk, interrupt, kill
from twelvefold.engine import transaction
from twelvefold.engine.transaction import Change
from twelvefold.errors import FailedError, RefusedError
from twelvefold.service import File

Files = Mapping[str, File]
OLD: Files = {
    "same.txt": File(b"same\n"),
    "changed.txt": File(b"old\n" * 5000),
    "mode.sh": File(b"#!/bin/sh\n"),
    "gone/deep/file.txt": File(b"gone\n"),
    "file": File(b"a file\n"),
    "folder/one.txt": File(b"in a folder\n"),
    "folder/more/two.txt": File(b"in a folder\n"),
    ".twelvefold/template.json": File(b"{}\n"),
}
NEW: Files = {
    "same.txt": File(b"same\n"),
    "changed.txt": File(b"new\n" * 5000),
    "mode.sh": File(b"#!/bin/sh\n", is_executable=True),
    "brand/new/file.txt": File(b""),
    "-x [y] ü.txt": File(b"\0binary"),
    "file/now.txt": File(b"the file is a folder\n"),
    "folder": File(b"the folder is a file\n"),
    ".twelvefold/template.json": File(b'{"version": "2"}\n'),
}


@dataclass(frozen=True)
class Place:
    """A folder to change, and one for the journal."""

    root: Path
    state: Path

    def reset(self, files: Files = OLD) -> None:
        for folder in (self.root, self.state):
            shutil.rmtree(folder, ignore_errors=True)
        self.root.mkdir(parents=True)
        for path, file in files.items():
            write(self.root / path, file)

    def apply(self, old: Files = OLD, new: Files = NEW) -> None:
        transaction.apply(changes(old, new), self.root, self.state, {"told": True})

    def resume(self) -> None:
        transaction.resume(self.root, self.state)

    def is_open(self) -> bool:
        return transaction.is_open(self.state)


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No power fails here: what a killed process has written is there without fsync."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path / "root", tmp_path / "state/service")
    place.reset()
    return place


def write(path: Path, file: File) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.content)
    path.chmod(file.mode)


def changes(old: Files, new: Files) -> list[Change]:
    paths = sorted({*old, *new})
    return [Change(path, old.get(path), new.get(path)) for path in paths if old.get(path) != new.get(path)]


def found(root: Path) -> dict[str, File | None]:
    """The files, and None for each empty folder."""
    return {
        str(path.relative_to(root)): File(path.read_bytes(), os.access(path, os.X_OK)) if path.is_file() else None
        for path in root.rglob("*")
        if path.is_file() or not any(path.iterdir())
    }


def applied(place: Place) -> Callable[[], tuple[int, str]]:
    """The whole of an update, as a command to harm."""

    def action() -> tuple[int, str]:
        try:
            place.apply()
            transaction.close(place.state)
        except (FailedError, RefusedError) as error:
            return error.exit_code, error.message
        except OSError as error:
            return 3, str(error)
        except KeyboardInterrupt:
            return 130, ""
        return 0, ""

    return action


def test_a_change_of_every_kind(place: Place) -> None:
    place.apply()
    assert found(place.root) == NEW
    assert place.is_open()
    assert transaction.memo(place.root, place.state) == {"told": True}
    transaction.close(place.state)
    assert not place.state.exists()


def test_killed_anywhere_there_is_the_old_or_it_can_be_finished(place: Place) -> None:
    was_open = False
    points = []
    for number, end in each_point(place.root.parent, place.reset, applied(place)):
        assert end.code == KILLED
        points.append(number)
        now = found(place.root)
        if place.is_open():
            was_open = True
            check_whole(now)
            place.resume()
            transaction.close(place.state)
        elif not was_open:
            assert now == OLD, number
            place.apply()  # what was staged is not in its way
        assert found(place.root) == NEW, number
    assert was_open
    assert len(points) > 50


def check_whole(now: Mapping[str, File | None]) -> None:
    """Each file is the old or the new one, and the memory is new only if all others are."""
    for path, file in now.items():
        assert file is None or file in (OLD.get(path), NEW.get(path)), path
    memory = ".twelvefold/template.json"
    if now[memory] == NEW[memory]:
        assert {path: file for path, file in now.items() if file} == NEW


def test_killed_while_it_finishes_it_is_finished_the_next_time(place: Place) -> None:
    def prepare() -> None:
        place.reset()
        end, _ = at_point(Points(place.root, 3, kill), applied(place))
        assert end.code == KILLED
        assert place.is_open()

    for number, _ in each_point(place.root.parent, prepare, applied_again(place)):
        if place.is_open():
            place.resume()
        assert found(place.root) == NEW, number


def applied_again(place: Place) -> Callable[[], tuple[int, str]]:
    def action() -> tuple[int, str]:
        place.resume()
        transaction.close(place.state)
        return 0, ""

    return action


@pytest.mark.parametrize("lasting", [pytest.param(False, marks=pytest.mark.slow, id="once"), True])
def test_a_full_disk_is_said_and_changes_nothing_or_can_be_finished(place: Place, lasting: bool) -> None:
    for number in range(1, 500):
        place.reset()
        end, count = at_point(Points(place.root.parent, number, fill_the_disk, lasting), applied(place))
        if count < number:
            assert number > 50
            return
        if end.code == 0:  # it could be done without
            assert found(place.root) == NEW
        elif place.is_open():
            assert "run the same command again" in end.said or "somewhere" in end.said
            place.resume()
            assert found(place.root) == NEW, number
        else:
            assert end.code == 3
            assert found(place.root) in (OLD, NEW), number


@pytest.mark.slow
def test_interrupted_by_the_user_it_can_be_finished(place: Place) -> None:
    for number, end in each_point(place.root.parent, place.reset, applied(place), interrupt):
        assert end.code == 130
        if place.is_open():
            place.resume()
            assert found(place.root) == NEW, number
        else:
            assert found(place.root) in (OLD, NEW), number


@pytest.fixture
def on_another_disk(tmp_path: Path) -> Iterator[Place]:
    memory = Path("/dev/shm")  # noqa: S108 - another file system
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    state = memory / f"twelvefold-{os.getpid()}/service"
    yield Place(tmp_path / "root", state)
    shutil.rmtree(state.parent)


@pytest.mark.slow
def test_the_journal_on_another_disk(on_another_disk: Place) -> None:
    place = on_another_disk
    for number, _ in each_point(place.root, place.reset, applied(place)):
        assert place.is_open(), number  # all that comes before changes the other disk
        now = found(place.root)
        check_whole({path: file for path, file in now.items() if ".twelvefold-" not in path})
        place.resume()
        assert found(place.root) == NEW, number
    assert found(place.root) == NEW


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """The journal on a file system of 64 kB, which only this child process sees."""
    if run("unshare", "--mount", "true").returncode:
        pytest.skip("needs unshare --mount")
    script = f"""
from pathlib import Path
import test_transaction as t
place = t.Place(Path({str(tmp_path / "root")!r}), Path({str(tmp_path / "state/service")!r}))
place.reset()
Path({str(tmp_path / "state")!r} + "/fill").write_bytes(bytes(50_000))
print(*t.applied(place)())
assert t.found(place.root) == t.OLD
assert not place.is_open() and not place.state.exists()
Path({str(tmp_path / "state")!r} + "/fill").unlink()
print(*t.applied(place)())
assert t.found(place.root) == t.NEW
"""
    (tmp_path / "state").mkdir()
    mount = 'mount -t tmpfs -o size=64k tmpfs "$0" && exec "$@"'
    tests = Path(__file__).parent
    done = run(
        *(
            "unshare",
            "--mount",
            "sh",
            "-c",
            mount,
            tmp_path / "state",
            sys.executable,
            "-c",
            script,
        ),
        env={**os.environ, "PYTHONPATH": f"{tests}:{tests.parent}:{tests.parent / 'scripts'}"},
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"3 Nothing was changed: .*No space left on device\.\n0 \n", done.stdout), done.stdout


def test_a_folder_that_cannot_be_written_to_is_said_before_anything_changes(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name != "folder" and may(path, mode))
    with pytest.raises(FailedError, match=r"Nothing was changed: .*/folder cannot be written to"):
        place.apply()
    assert found(place.root) == OLD
    assert not place.state.exists()


def test_what_changed_while_it_was_planned_is_refused(place: Place) -> None:
    (place.root / "mode.sh").chmod(0o755)
    with pytest.raises(RefusedError, match=r"mode\.sh was changed while the update was planned"):
        place.apply()
    assert not place.state.exists()


@pytest.mark.parametrize("path", ["file", "file/now.txt"])
def test_what_stands_in_the_way_is_refused(path: str, tmp_path: Path) -> None:
    place = Place(tmp_path / "root", tmp_path / "state")
    place.reset({"file/theirs/x.txt" if path == "file" else "file": File(b"the team's\n")})
    before = found(place.root)
    with pytest.raises(RefusedError, match=f"is in the way of {path}"):
        transaction.apply([Change(path, None, File(b""))], place.root, place.state)
    assert found(place.root) == before


def test_a_read_only_file_is_replaced_whole(place: Place) -> None:
    (place.root / "changed.txt").chmod(0o444)
    place.apply()
    assert found(place.root) == NEW


def stop_at(place: Place, number: int) -> None:
    """Kill an update at a change of the tree, and so after the journal was begun."""
    end, _ = at_point(Points(place.root, number, kill, since=place.state / transaction.JOURNAL), applied(place))
    assert place.is_open(), end


@pytest.mark.parametrize(
    "edit",
    [
        {"path": "../outside.txt"},
        {"path": "/tmp/outside.txt"},  # noqa: S108 - an example
        {"path": "a/../../outside.txt"},
        {"path": ".git/hooks/post-checkout"},
        {"path": ""},
        {"path": 7},
        {"number": "../../../outside"},
        {"number": "../journal.json"},
        {"number": True},
        {"extra": 1},
    ],
    ids=str,
)
def test_a_journal_that_leads_elsewhere_is_refused(edit: dict[str, Any], place: Place) -> None:
    stop_at(place, 2)
    journal = place.state / transaction.JOURNAL
    content = json.loads(journal.read_text())
    content["steps"][-1] |= edit
    journal.write_text(json.dumps(content))
    before = found(place.root.parent)
    with pytest.raises(RefusedError, match=r"interrupted update is damaged\. To give that update up: git"):
        place.resume()
    assert found(place.root.parent) == before


@pytest.mark.parametrize("text", ["", "[]", "{", '{"steps": {}}', '{"steps": [1], "memo": {}}', "[" * 100_000])
def test_a_journal_that_is_none_is_refused(text: str, place: Place) -> None:
    stop_at(place, 2)
    (place.state / transaction.JOURNAL).write_text(text)
    with pytest.raises(RefusedError, match="is damaged"):
        place.resume()


@pytest.mark.parametrize("link", ["changed.txt", "brand"])
def test_a_link_that_came_since_is_not_followed(link: str, place: Place, tmp_path: Path) -> None:
    stop_at(place, 1)
    outside = tmp_path / "outside"
    outside.mkdir()
    (place.root / link).unlink(missing_ok=True)
    (place.root / link).symlink_to(outside)
    with pytest.raises(RefusedError, match=f"{link} is a symbolic link"):
        place.resume()
    assert list(outside.iterdir()) == []
    (place.root / link).unlink()
    place.resume()
    assert found(place.root) == NEW


def test_what_was_staged_and_is_lost_is_not_taken_for_done(place: Place) -> None:
    stop_at(place, 1)
    for staged in (place.state / transaction.STAGED).iterdir():
        staged.write_bytes(b"edited")
    with pytest.raises(RefusedError, match="is lost"):
        place.resume()
    assert found(place.root) == OLD


@pytest.mark.parametrize("path", ["changed.txt", "brand/new/file.txt", "gone/deep/file.txt", "folder/one.txt"])
@pytest.mark.parametrize("saved_in", ["tree", "commit"])
@pytest.mark.parametrize("way", ["finish", "give up"])
def test_an_edit_since_is_refused_and_both_ways_out_work(path: str, saved_in: str, way: str, tmp_path: Path) -> None:
    place = Place(tmp_path / "the root", tmp_path / "the root/.git/twelvefold/service")
    place.reset()
    commit(place.root, "Before")
    stop_at(place, 1)
    write(place.root / path, File(b"edited\n"))
    if saved_in == "commit":
        commit(place.root, "Edited")
    with pytest.raises(RefusedError, match=re.escape(path)) as refused:
        place.resume()
    said = refused.value.message
    if way == "finish":
        mv = re.search(r"\((mv -i .*?)\), run", said)
        assert mv
        subprocess.run(mv[1], shell=True, check=True)  # noqa: S602 - what a person types
        place.resume()
        edited = f"{Path(path).name}.mine"
        assert (place.root / edited).read_bytes() == b"edited\n"
        (place.root / edited).unlink()
        assert {name: file for name, file in without_git(place).items() if file} == NEW
    else:
        give_up = said.partition("To give that update up: ")[2] or said.partition("give that update up: ")[2]
        subprocess.run(give_up, shell=True, check=True)  # noqa: S602
        assert not place.is_open()
        assert git(place.root, "status", "--porcelain") == ""
        if saved_in == "tree":
            assert without_git(place) == OLD
            place.apply()
            assert without_git(place) == NEW


def without_git(place: Place) -> dict[str, File | None]:
    return {path: file for path, file in found(place.root).items() if not path.startswith(".git/")}


names = st.sampled_from(["a", "b", "-c", "ä b"])
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
files = st.builds(File, st.binary(max_size=20), st.booleans())
trees = st.dictionaries(paths, files, max_size=8).filter(
    lambda tree: not any(other.startswith(f"{path}/") for path in tree for other in tree)
)


@given(old=trees, new=trees)
def test_any_tree_becomes_any_other(tmp_path_factory: pytest.TempPathFactory, old: Files, new: Files) -> None:
    base = tmp_path_factory.mktemp("any")
    place = Place(base / "root", base / "state")
    place.reset(old)
    place.apply(old, new)
    assert found(place.root) == new


@given(old=trees, new=trees, number=st.integers(1, 80))
def test_any_tree_killed_anywhere_is_the_old_or_becomes_the_new_one(
    tmp_path_factory: pytest.TempPathFactory, old: Files, new: Files, number: int
) -> None:
    assume(old != new)
    base = tmp_path_factory.mktemp("any")
    place = Place(base / "root", base / "state")
    place.reset(old)

    def action() -> tuple[int, str]:
        place.apply(old, new)
        return 0, ""

    end, count = at_point(Points(base, 1 + number % 40, kill), action)
    if not place.is_open():
        assert found(place.root) == old
        place.apply(old, new)
    place.resume()
    assert found(place.root) == new
    assert end == End(KILLED) or count
