"""Repositories that a forge lists: those of a GitLab group with its subgroups, or of a GitHub organisation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from twelvefold.errors import FailedError
from twelvefold.fleet.config import PUBLIC, Declared, Discovered, ForgeConfig
from twelvefold.fleet.forges.base import refused


@dataclass(frozen=True, slots=True)
class ForgeRepository:
    """A repository on a forge."""

    name: str
    url: str
    is_archived: bool
    topics: frozenset[str]


def discovered(wanted: Discovered, forge: ForgeConfig, token: str | None) -> list[Declared]:
    """The repositories that `wanted` describes and that can be changed. Raises FailedError."""
    listing = _of_group(wanted.gitlab, forge, token) if wanted.gitlab else _of_organisation(wanted, forge, token)
    return [Declared(url=one.url, wave=wanted.wave) for one in listing if _is_wanted(one, wanted)]


def _is_wanted(one: ForgeRepository, wanted: Discovered) -> bool:
    return (
        not one.is_archived
        and fnmatchcase(one.name, wanted.match)
        and not any(fnmatchcase(one.name, pattern) for pattern in wanted.exclude)
        and (wanted.topic is None or wanted.topic in one.topics)
    )


def _of_group(group: str, forge: ForgeConfig, token: str | None) -> Iterator[ForgeRepository]:
    import requests
    from gitlab.exceptions import GitlabError

    from twelvefold.fleet.forges.gitlab import client

    listing = client(forge.url or PUBLIC["gitlab"], token).groups.get(group, lazy=True).projects
    try:
        for one in listing.list(include_subgroups=True, archived=False, per_page=100, iterator=True):
            yield ForgeRepository(one.path, one.http_url_to_repo, one.archived, frozenset(one.topics))
    except (GitlabError, requests.RequestException) as error:
        raise _refused(group, getattr(error, "response_code", None)) from error


def _of_organisation(wanted: Discovered, forge: ForgeConfig, token: str | None) -> Iterator[ForgeRepository]:
    import requests
    from github import GithubException

    from twelvefold.fleet.forges.github import client

    organisation = str(wanted.github)
    try:
        for one in client(forge.url or PUBLIC["github"], token).get_organization(organisation).get_repos():
            yield ForgeRepository(one.name, one.clone_url, one.archived, frozenset(one.topics))
    except (GithubException, requests.RequestException) as error:
        raise _refused(organisation, getattr(error, "status", None)) from error


def _refused(group: str, code: int | None) -> FailedError:
    error = refused(group, code, "")
    return FailedError(error.message.replace("no such repository", "no such group or organisation"))
