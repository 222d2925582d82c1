"""All or nothing: write many files so that a kill at any moment leaves the old ones or the new ones.

What is to be written is staged in the git directory, with a journal of what to do. From the moment that the journal
is there, the next command finishes the work; before that, it clears away what was staged. Each file comes to its
place by a rename, so that none is ever half written.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twelvefold.errors import FailedError, RefusedError
from twelvefold.service import File, refuse_outside

JOURNAL = "journal.json"
STAGED = "staged"


@dataclass(frozen=True, slots=True)
class Change:
    """One path before and after; None where there is no file. Never the same twice."""

    path: str
    before: File | None
    after: File | None


def apply(changes: Sequence[Change], root: Path, state: Path) -> None:
    """Make the changes below `root`, all or none; `state` is a folder for the journal.

    Raises RefusedError if a file is not what it was planned from, FailedError if they could not be staged (nothing
    has changed then) or not all be made (the next command goes on).
    """
    for change in changes:
        if _found(root / change.path) != (change.before.sha256 if change.before else None):
            raise RefusedError(f"{change.path} was changed while the update was planned. Run the same command again.")
    try:
        _stage(changes, state)
    except OSError as error:
        clear(state)
        raise FailedError(f"Nothing was changed: {error.filename or state}: {error.strerror}.") from error
    finish(root, state)


def is_open(state: Path) -> bool:
    """Whether an earlier run was interrupted after it began to change files."""
    return (state / JOURNAL).exists()


def recover(root: Path, state: Path) -> bool:
    """Finish what an earlier run began; return whether there was anything."""
    if is_open(state):
        finish(root, state)
        return True
    clear(state)
    return False


def finish(root: Path, state: Path) -> None:
    """Do what the journal says. Raises RefusedError if a file was changed since; FailedError if the disk fails."""
    try:
        steps = json.loads((state / JOURNAL).read_bytes())
        for step in steps:
            refuse_outside(step["path"])
        _refuse_edits(steps, root, state)
        for step in sorted(
            steps, key=lambda step: step["after"] is not None
        ):  # files go before folders of their name come
            _do(step, root, state)
        _sync(state)
    except (OSError, ValueError) as error:
        raise FailedError(f"The update was interrupted ({error}). Run the same command again to finish it.") from error
    clear(state)


def clear(state: Path) -> None:
    """Remove the journal first, then what was staged."""
    (state / JOURNAL).unlink(missing_ok=True)
    if state.exists():
        shutil.rmtree(state)


def _stage(changes: Iterable[Change], state: Path) -> None:
    clear(state)
    (state / STAGED).mkdir(parents=True)
    steps = [_staged(number, change, state) for number, change in enumerate(changes)]
    draft = state / f"{JOURNAL}.draft"
    _write(draft, json.dumps(steps).encode(), 0o600)
    # All are written before the first is synced: the file system then has one transaction for them, not one each.
    for path in (draft, *(state / STAGED).iterdir(), state / STAGED):
        _sync(path)
    draft.rename(state / JOURNAL)
    _sync(state)


def _staged(number: int, change: Change, state: Path) -> dict[str, Any]:
    if change.after is not None:
        _write(state / STAGED / str(number), change.after.content, change.after.mode)
    return {
        "number": number,
        "path": change.path,
        "before": change.before.sha256 if change.before else None,
        "after": change.after.sha256 if change.after else None,
    }


def _write(path: Path, content: bytes, mode: int) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _refuse_edits(steps: Iterable[dict[str, Any]], root: Path, state: Path) -> None:
    for step in steps:
        if _found(root / step["path"]) not in {step["before"], step["after"]}:
            raise RefusedError(
                f"{step['path']} was changed after an update was interrupted. Save your change elsewhere, restore the "
                f"file (git checkout -- {step['path']}) and run the same command again; or give that update up: "
                f"rm -r '{state}' && git checkout -- ."
            )


def _found(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def _do(step: dict[str, Any], root: Path, state: Path) -> None:
    target = root / step["path"]
    if step["after"] is None:
        _delete(target, root)
        return
    staged = state / STAGED / str(step["number"])
    if staged.exists():  # else it is in its place already
        target.parent.mkdir(parents=True, exist_ok=True)
        _move(staged, target)


def _delete(target: Path, root: Path) -> None:
    if target.is_file():
        target.unlink()
    for folder in target.parents:
        if folder == root or not folder.is_dir() or any(folder.iterdir()):
            return
        folder.rmdir()


def _move(staged: Path, target: Path) -> None:
    try:
        staged.rename(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        # The git directory is on another disk, as in some worktrees: stage once more beside the target.
        beside = target.with_name(f".{target.name}.twelvefold")
        shutil.copy2(staged, beside)
        beside.rename(target)
        staged.unlink()
