"""The last-applied copies, on which merges are based: what to do where one is not what the last update wrote."""

from __future__ import annotations

from pathlib import Path

from twelvefold.decisions import Decision, Outcome
from twelvefold.git import GitError, blob, git
from twelvefold.service import APPLIED, MANIFEST, File, Service

SEARCHED = 100
"""So many of the newest commits that changed a copy are looked at: in a partial clone, git fetches what they had."""


def left_alone(service: Service, path: str) -> Decision:
    """The decision to leave the merged file at `path`, whose last-applied copy is damaged."""
    return Decision(Outcome.UNREADABLE, path, note=damage(service.root, path, service.manifest[path].sha256))


def damage(root: Path, path: str, sha256: str) -> str:
    """What is wrong with the last-applied copy of `path`, which should hash as `sha256`, and how to get it back."""
    copy = str(APPLIED / path)
    what = f"does not hash as {MANIFEST} says" if (root / copy).exists() else "is missing"
    return f"{copy} {what}, so nobody knows what the template said the last time. {_way_back(root, copy, sha256)}"


def _way_back(root: Path, copy: str, sha256: str) -> str:
    commit = commit_with(root, copy, sha256)
    if commit:
        return f"In the service's folder, restore it and commit: git checkout {commit[:12]} -- {copy}"
    path = copy.removeprefix(f"{APPLIED}/")
    fetch = ": fetch the rest of the history (git fetch --unshallow)" if is_shallow(root) else ""
    return (
        f"No commit here has the right one{fetch}. If nobody has it, take the entry of {path} out of {MANIFEST} and "
        "commit: the file is merged as at an adoption then"
    )


def is_shallow(root: Path) -> bool:
    """Whether git has a part of the history only."""
    try:
        return git(root, "rev-parse", "--is-shallow-repository") == "true"
    except GitError:
        return False


def commit_with(root: Path, path: str, sha256: str) -> str | None:
    """The newest commit in which the file at `path` hashes so; None if there is none, or no repository."""
    looked_at = ("--full-history", f"--max-count={SEARCHED}", "HEAD", "--", f":(literal){path}")
    try:
        for commit in git(root, "rev-list", *looked_at).split():
            content = blob(root, f"{commit}:./{path}")
            if content is not None and File(content).sha256 == sha256:
                return commit
    except GitError:
        return None
    return None
