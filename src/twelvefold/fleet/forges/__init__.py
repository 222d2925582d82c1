"""Forges: where a request for a merge is opened, found, updated and closed."""

from __future__ import annotations

from collections.abc import Callable

from twelvefold.fleet.forges.base import RIGHTS, Draft, Forge, MergeRequest, NoForge

__all__ = ["FORGES", "RIGHTS", "USERS", "Draft", "Forge", "MergeRequest", "NoForge"]


def _gitlab(project: str, url: str | None, token: str | None) -> Forge:
    from twelvefold.fleet.forges.gitlab import GitLab

    return GitLab(project, url, token)


def _gitlab_push(project: str, url: str | None, token: str | None) -> Forge:
    from twelvefold.fleet.forges.gitlab import GitLabPush

    return GitLabPush(project, url)


def _github(project: str, url: str | None, token: str | None) -> Forge:
    from twelvefold.fleet.forges.github import GitHub

    return GitHub(project, url, token)


def _git(project: str, url: str | None, token: str | None) -> Forge:
    return NoForge()


FORGES: dict[str, Callable[[str, str | None, str | None], Forge]] = {
    "git": _git,
    "github": _github,
    "gitlab": _gitlab,
    "gitlab-push": _gitlab_push,
}
"""What makes a forge, by kind: given a repository's URL, the instance's, and a token."""

USERS = {"git": "git", "github": "x-access-token", "gitlab": "oauth2", "gitlab-push": "gitlab-ci-token"}
"""The user's name that a token goes with, when git asks for both."""
