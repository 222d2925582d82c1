"""Paths that git was told not to look at: what an update wrote there, git would neither show nor give back."""

from __future__ import annotations

import os
import posixpath
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from twelvefold.errors import RefusedError
from twelvefold.git import git
from twelvefold.service import Repository

SPARSE, SKIPPED, UNCHANGED = "outside the sparse checkout", "skip-worktree", "assume-unchanged"
NAMED = 3
"""So many paths are named in a message."""
TYPED = 20
"""So many may stand in its command; for more, the command takes all that git has."""


def refuse_hidden(repository: Repository, paths: Iterable[str], tags: Mapping[str, str] | None = None) -> None:
    """Raise RefusedError, with the command that shows them again, if git does not look at one of `paths`.

    `tags` is what `Repository.tags` says of them, for callers that have asked already.
    """
    hidden = hidden_by(repository, paths, tags)
    if not hidden:
        return
    reason = next(iter(hidden.values()))
    alike = [path for path, why in hidden.items() if why == reason]
    what = f"{', '.join(alike[:NAMED])}{f' and {len(alike) - NAMED} more' if len(alike) > NAMED else ''}"
    raise RefusedError(
        f"Hidden from git ({reason}): {what}. The rollup would write there, and git could not give back what was there "
        "before. Show it to git with the command below, commit what git says then, and start the rollup again:\n  "
        f"{_shown_again(repository, reason, alike)}"
    )


def _git(service: Path) -> str:
    return "git" if service == Path.cwd() else f"git -C {shlex.quote(str(service))}"


def hidden_by(repository: Repository, paths: Iterable[str], tags: Mapping[str, str] | None = None) -> dict[str, str]:
    """Map those of `paths` that git does not look at to the reason, one of three."""
    wanted = sorted(set(paths))
    if not wanted:
        return {}
    tags = repository.tags(wanted) if tags is None else tags
    new = [path for path in wanted if path not in tags]
    is_sparse = bool(new or {"S", "s"} & set(tags.values())) and _is_set(repository, "core.sparseCheckout")
    found = {path: _reason(tag, is_sparse=is_sparse) for path, tag in tags.items()}
    found |= dict.fromkeys(_left_out(repository, new) if is_sparse else [], SPARSE)
    return {path: found[path] for path in wanted if found.get(path)}


def _reason(tag: str, *, is_sparse: bool) -> str:
    if tag in {"S", "s"}:
        return SPARSE if is_sparse else SKIPPED
    return UNCHANGED if tag.islower() else ""


def _is_set(repository: Repository, setting: str) -> bool:
    return git(repository.service, "config", "--type=bool", "--default=false", "--get", setting) == "true"


def _left_out(repository: Repository, paths: Sequence[str]) -> list[str]:
    """Those of `paths`, which git does not have, that its sparse checkout would leave out.

    git answers that for what is in an index alone: one that has nothing but them is checked out in a repository of its
    own, with the patterns of this one and with no other setting, filter or hook of anybody's.
    """
    patterns = Path(_patterns(repository))
    if not paths or not patterns.is_file():
        return []
    with tempfile.TemporaryDirectory(prefix="twelvefold-") as folder:
        scratch = Path(folder)
        apart = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}

        def ask(*arguments: str, stdin: str | None = None) -> str:
            return git(scratch, *arguments, stdin=stdin, variables=apart)

        ask("init", "--quiet", "--template=")
        cone = str(_is_set(repository, "core.sparseCheckoutCone")).lower()
        ask("config", "core.sparseCheckoutCone", cone)
        ask("config", "core.sparseCheckout", "true")
        (scratch / ".git/info").mkdir(exist_ok=True)
        shutil.copyfile(patterns, scratch / ".git/info/sparse-checkout")
        empty = ask("hash-object", "-w", "--stdin", stdin="")
        lines = "".join(f"100644 {empty} 0\t{repository.named(path)}\0" for path in paths)
        ask("update-index", "-z", "--index-info", stdin=lines)
        tree = ask("write-tree")
        (scratch / ".git/index").unlink()
        ask("read-tree", "--reset", "-u", tree)
        return [path for path in paths if not (scratch / repository.named(path)).exists()]


def _patterns(repository: Repository) -> str:
    return git(repository.service, "rev-parse", "--path-format=absolute", "--git-path", "info/sparse-checkout")


def _shown_again(repository: Repository, reason: str, paths: Sequence[str]) -> str:
    here = _git(repository.service)
    if reason == SPARSE:
        top = Path(str(repository.service).removesuffix(f"/{repository.prefix}".rstrip("/")))
        places = [repository.named(path) for path in paths]
        if _is_set(repository, "core.sparseCheckoutCone"):
            places = sorted({posixpath.dirname(place) for place in places} - {""})
        else:
            places = [f"/{place}" for place in places]
        return f"{_git(top)} sparse-checkout add {shlex.join(places)}"
    if len(paths) > TYPED:
        elsewhere = repository.places.elsewhere()
        listed = shlex.join(["ls-files", "-z", *([".", *elsewhere] if elsewhere else [])])
        return f"{here} {listed} | {here} update-index --no-{reason} -z --stdin"
    return f"{here} update-index --no-{reason} -- {shlex.join(map(repository.places.spelled, paths))}"
