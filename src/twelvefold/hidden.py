"""Paths that git was told not to look at: what an update wrote there, git would neither show nor give back."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from twelvefold.errors import RefusedError
from twelvefold.git import git
from twelvefold.service import Repository

SPARSE, SKIPPED, UNCHANGED = "outside the sparse checkout", "skip-worktree", "assume-unchanged"
NAMED = 3
"""So many paths are named in a message and its command; of more, the command takes all that git has."""


def refuse_hidden(repository: Repository, paths: Iterable[str]) -> None:
    """Raise RefusedError, with the command that shows them again, if git does not look at one of `paths`."""
    hidden = hidden_by(repository, paths)
    if not hidden:
        return
    reason = next(iter(hidden.values()))
    alike = [path for path, why in hidden.items() if why == reason]
    what = f"{', '.join(alike[:NAMED])}{f' and {len(alike) - NAMED} more' if len(alike) > NAMED else ''}"
    raise RefusedError(
        f"Hidden from git ({reason}): {what}. The rollup would write there, and git could not give back what was there "
        f"before. Show it to git, commit what git says then, and run this again: {_shown_again(reason, alike)}"
    )


def hidden_by(repository: Repository, paths: Iterable[str]) -> dict[str, str]:
    """Map those of `paths` that git does not look at to the reason, one of three."""
    wanted = sorted(set(paths))
    if not wanted:
        return {}
    tags = repository.tags(wanted)
    new = [path for path in wanted if path not in tags]
    is_sparse = bool(new or {"S", "s"} & set(tags.values())) and _is_sparse(repository)
    found = {path: _reason(tag, is_sparse=is_sparse) for path, tag in tags.items()}
    found |= dict.fromkeys(_left_out(repository, new) if is_sparse else [], SPARSE)
    return {path: found[path] for path in wanted if found.get(path)}


def _reason(tag: str, *, is_sparse: bool) -> str:
    if tag in {"S", "s"}:
        return SPARSE if is_sparse else SKIPPED
    return UNCHANGED if tag.islower() else ""


def _is_sparse(repository: Repository) -> bool:
    setting = ("--type=bool", "--default=false", "--get", "core.sparseCheckout")
    return git(repository.service, "config", *setting) == "true"


def _left_out(repository: Repository, paths: Sequence[str]) -> list[str]:
    """Those of `paths`, which git does not have, that its sparse checkout would leave out.

    git answers that for what is in an index alone: one that has nothing but them is checked out into a scratch folder.
    """
    if not paths:
        return []
    with tempfile.TemporaryDirectory(prefix="twelvefold-") as scratch:
        index, objects, tree = (Path(scratch) / name for name in ("index", "objects", "tree"))
        objects.mkdir()
        tree.mkdir()
        known = git(repository.service, "rev-parse", "--path-format=absolute", "--git-path", "objects")
        apart = {"GIT_OBJECT_DIRECTORY": str(objects), "GIT_ALTERNATE_OBJECT_DIRECTORIES": known}
        empty = git(repository.service, "hash-object", "-w", "--stdin", stdin="", variables=apart)
        lines = "".join(f"100644 {empty} 0\t{repository.prefix}{path}\0" for path in paths)
        git(repository.service, "update-index", "-z", "--index-info", stdin=lines, index=index, variables=apart)
        made = git(repository.service, "write-tree", index=index, variables=apart)
        index.unlink()
        place = f"--work-tree={tree}"
        git(repository.service, place, "read-tree", "--reset", "-u", made, index=index, variables=apart)
        return [path for path in paths if not (tree / repository.prefix / path).exists()]


def _shown_again(reason: str, paths: Sequence[str]) -> str:
    if reason == SPARSE:
        return "git sparse-checkout disable"
    option = f"--no-{reason}"
    if len(paths) > NAMED:
        return f"git ls-files -z | git update-index {option} -z --stdin"
    return f"git update-index {option} -- {shlex.join(paths)}"
