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
    return (
        f"{copy} {'is not' if (root / copy).exists() else 'is missing, and was'} what the last update wrote, so nobody "
        f"knows what the template said then. {_way_back(root, copy, sha256)}"
    )


def _way_back(root: Path, copy: str, sha256: str) -> str:
    commit = _commit_with(root, copy, sha256)
    if commit:
        return f"Restore it and commit: git checkout {commit[:12]} -- {copy}"
    path = copy.removeprefix(f"{APPLIED}/")
    return (
        "No commit here has it: fetch the rest of the history (git fetch --unshallow), or take it from another clone. "
        f"If nobody has it, take the entry of {path} out of {MANIFEST} and commit: it is merged as at an adoption then"
    )


def _commit_with(root: Path, copy: str, sha256: str) -> str | None:
    """The newest commit in which the copy hashes as it should; None if there is none, or no repository."""
    looked_at = ("--full-history", f"--max-count={SEARCHED}", "HEAD", "--", f":(literal){copy}")
    try:
        for commit in git(root, "rev-list", *looked_at).split():
            content = blob(root, f"{commit}:./{copy}")
            if content is not None and File(content).sha256 == sha256:
                return commit
    except GitError:
        return None
    return None
