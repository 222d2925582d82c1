"""All or nothing: write many files so that a kill at any moment leaves the old ones or the new ones.

What is to be written is staged in the git directory, with a journal of what to do. From the moment that the journal
is there, the next command finishes the work; before that, it clears away what was staged. Each file comes to its
place by a rename, so that none is ever half written. The journal stays until `close`, and holds a memo for what comes
after the files (the lock, the commit, the report), so that a kill there loses nothing either.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from twelvefold.errors import FailedError, RefusedError
from twelvefold.service import File, folders_above, is_memory, read_file, refuse_outside
from twelvefold.workspace import VENDOR, Places

JOURNAL = "journal.json"
STAGED = "staged"


@dataclass(frozen=True, slots=True)
class Change:
    """One path before and after; None where there is no file. Never the same twice."""

    path: str
    before: File | None
    after: File | None


@dataclass(frozen=True, slots=True)
class Step:
    """A change as the journal has it: `before` and `after` are modes and hashes, `number` names the staged file."""

    number: int
    path: str
    before: str | None
    after: str | None

    @property
    def order(self) -> tuple[bool, bool]:
        """Files go before folders of their name come; memory is last, or what it knows could be lost with a journal."""
        return self.after is not None, is_memory(self.path)


def apply(changes: Sequence[Change], root: Path, state: Path, remember: Mapping[str, Any] | None = None) -> None:
    """Make the changes to the service in `root`, all or none; `state` is for the journal, which stays until `close`.

    `remember` is for `memo` to find after a kill, and must be as JSON has it.

    Raises RefusedError if a file is not what it was planned from, FailedError if they could not be staged (nothing
    has changed then) or not all be made (the next command goes on).
    """
    steps = [Step(number, one.path, _mark(one.before), _mark(one.after)) for number, one in enumerate(changes)]
    places = Places.of(root)
    for step in steps:
        if _found(places, step.path) != step.before:
            raise RefusedError(f"{step.path} was changed while the update was planned. Run the same command again.")
    _refuse_obstacles(steps, places)
    _refuse_read_only(steps, places)
    try:
        _stage(steps, changes, state, remember or {})
    except OSError as error:
        with contextlib.suppress(OSError):  # what is left of it is cleared away by the next update
            close(state)
        raise FailedError(f"Nothing was changed: {error.filename or state}: {error.strerror}.") from error
    resume(root, state)


def is_open(state: Path) -> bool:
    """Whether an earlier run was interrupted after it began to change files."""
    return (state / JOURNAL).exists()


def memo(root: Path, state: Path) -> Mapping[str, Any]:
    """What `apply` was told to remember. Raises RefusedError if the journal is damaged."""
    return _journal(root, state)[1]


def resume(root: Path, state: Path) -> None:
    """Do what the journal says and is not done yet.

    Raises RefusedError if a file was changed since, or the journal is damaged; FailedError if the disk fails.
    """
    steps, _ = _journal(root, state)
    places = Places.of(root)
    try:
        _refuse_edits(steps, places, state)
        _refuse_obstacles(steps, places)
        for step in sorted(steps, key=lambda step: step.order):
            _do(step, places, state)
        for step in steps:
            if step.after is None:
                _remove_empty_parents(step.path, places)
        for folder in {_nearest_folder(places, step.path) for step in steps}:
            _sync(folder)
    except OSError as error:
        raise FailedError(
            f"The update was interrupted: {error.filename}: {error.strerror}. Fix that, and run the same "
            "command again to finish it."
        ) from error


def close(state: Path) -> None:
    """Remove the journal first, then what was staged; what of that cannot be removed goes the next time."""
    (state / JOURNAL).unlink(missing_ok=True)
    shutil.rmtree(state, ignore_errors=True)


def _stage(steps: Sequence[Step], changes: Iterable[Change], state: Path, remember: Mapping[str, Any]) -> None:
    close(state)
    (state / STAGED).mkdir(parents=True)
    for step, change in zip(steps, changes, strict=True):
        if change.after is not None:
            _write(state / STAGED / str(step.number), change.after)
    draft = state / f"{JOURNAL}.draft"
    _write(draft, File(json.dumps({"steps": [asdict(step) for step in steps], "memo": remember}).encode()))
    # All are written before the first is synced: the file system then has one transaction for them, not one each.
    for path in (draft, *(state / STAGED).iterdir(), state / STAGED):
        _sync(path)
    draft.rename(state / JOURNAL)
    _sync(state)
    _sync(state.parent)


def _write(path: Path, file: File) -> None:
    with path.open("xb") as stream:
        stream.write(file.content)
        os.fchmod(stream.fileno(), file.mode)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _journal(root: Path, state: Path) -> tuple[list[Step], Mapping[str, Any]]:
    """Read the journal, which somebody may have edited: it must not lead out of the service, or of its own folder."""
    try:
        journal = json.loads((state / JOURNAL).read_bytes())
        steps = [Step(**step) for step in journal["steps"]]
        for step in steps:
            refuse_outside(step.path)
            if type(step.number) is not int:
                raise TypeError(f"{step.number!r} is no number")
        remembered: Mapping[str, Any] = journal["memo"]
    except OSError as error:
        raise FailedError(f"{state / JOURNAL} cannot be read: {error.strerror}.") from error
    except (RefusedError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise damaged(root, state) from error
    return steps, remembered


def damaged(root: Path, state: Path) -> RefusedError:
    """What to raise if the journal is not as it was written."""
    return RefusedError(f"The journal of an interrupted update is damaged. {_give_up(root, state)}")


def _give_up(root: Path, state: Path) -> str:
    places = Places.of(root)
    shared = f" {places.spelled(f'{VENDOR}/')}" if places.is_shared else ""
    return (
        f"To give that update up: git -C {shlex.quote(str(root))} stash push --include-untracked -- .{shared} ; "
        f"rm -r {shlex.quote(str(state))}"
    )


def _refuse_edits(steps: Iterable[Step], places: Places, state: Path) -> None:
    """Raise RefusedError if a file is neither the old nor the new one; one that is gone comes again."""
    root = places.root
    for step in steps:
        found = _found(places, step.path)
        if found not in {None, step.before, step.after}:
            moved = (places.at(step.path), root / f"{Path(step.path).name}.mine")
            path, aside = (shlex.quote(str(place)) for place in moved)
            raise RefusedError(
                f"{step.path} was changed after an update was interrupted. Move it away (mv -i {path} {aside}), run "
                f"the same command again, and put your change back. {_give_up(root, state)}"
            )
        is_done = step.after in {found, None}
        if not is_done and _mark(read_file(state, f"{STAGED}/{step.number}")) != step.after:
            raise RefusedError(
                f"What an interrupted update would write to {step.path} is lost. {_give_up(root, state)}"
            )


def _refuse_obstacles(steps: Iterable[Step], places: Places) -> None:
    """Raise RefusedError if a file stands where a folder has to be, or a folder with something in it where a file."""
    gone = {step.path for step in steps if step.after is None}
    for path in (step.path for step in steps if step.after is not None):
        root = places.base(path)
        above = [folder for folder in folders_above(path) if (root / folder).is_file()]
        below = [inside for inside in (root / path).rglob("*") if inside.is_symlink() or not inside.is_dir()]
        for obstacle in (*above, *(inside.relative_to(root).as_posix() for inside in below)):
            if obstacle not in gone:
                raise RefusedError(f"{obstacle} is in the way of {path}. Move it away, and run the same command again.")


def _refuse_read_only(steps: Iterable[Step], places: Places) -> None:
    for folder in sorted({_nearest_folder(places, step.path) for step in steps}):
        if not os.access(folder, os.W_OK | os.X_OK):
            raise FailedError(f"Nothing was changed: {folder} cannot be written to.")


def _nearest_folder(places: Places, path: str) -> Path:
    return next(folder for folder in places.at(path).parents if folder.is_dir())


def _mark(file: File | None) -> str | None:
    return f"{file.mode:o} {file.sha256}" if file else None


def _found(places: Places, path: str) -> str | None:
    return _mark(read_file(places.base(path), path))


def _do(step: Step, places: Places, state: Path) -> None:
    target = places.at(step.path)
    if _found(places, step.path) == step.after:
        return
    if step.after is None:
        target.unlink()
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_empty_folders(target)
        _move(state / STAGED / str(step.number), target)


def _remove_empty_parents(path: str, places: Places) -> None:
    base = places.base(path)
    last = base if base == places.root else base / VENDOR  # which links of other services lead to
    for folder in (base / path).parents:
        if folder == last or (folder.is_dir() and any(folder.iterdir())):
            return
        if folder.is_dir():  # else it went before a kill
            folder.rmdir()


def _remove_empty_folders(target: Path) -> None:
    for folder in sorted((path for path in (target, *target.rglob("*")) if path.is_dir()), reverse=True):
        folder.rmdir()


def _move(staged: Path, target: Path) -> None:
    try:
        staged.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(staged, target)


def _copy(staged: Path, target: Path) -> None:
    """Put the file in its place from another disk, as that of some git directories is: stage once more beside it."""
    beside = target.with_name(f".twelvefold-{staged.name}")
    beside.unlink(missing_ok=True)  # a kill left it
    try:
        _write(beside, File(staged.read_bytes(), os.access(staged, os.X_OK)))
        _sync(beside)
        beside.rename(target)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
