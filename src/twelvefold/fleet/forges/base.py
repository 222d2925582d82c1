"""What the fleet asks of a forge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import truststore

from twelvefold.errors import FailedError, RefusedError
from twelvefold.repository_url import on_forge

TIMEOUT = 30.0
"""Seconds that one answer of a forge may take."""
TRIES = 4
"""How often a request is tried again after what may pass by itself."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A request as it should be."""

    branch: str
    base: str
    title: str
    body: str
    """Markdown."""
    labels: Sequence[str]
    without: Sequence[str] = ()
    """Labels of ours that it must not have, or not any more."""


@dataclass(frozen=True, slots=True)
class MergeRequest:
    """A request that is open."""

    number: int
    url: str
    """Its page."""


class Forge(Protocol):
    """One repository on a forge.

    Every method raises FailedError with a sentence when the forge does not do it; what may pass by itself (429, 5xx, no
    answer) was tried again before.
    """

    def options(self, draft: Draft) -> Sequence[str]:
        """What the push of the branch tells the forge, a line each."""

    def find(self, branch: str) -> MergeRequest | None:
        """The open request of a branch."""

    def open(self, draft: Draft) -> MergeRequest:
        """Open a request; of two at once for one branch, the second finds the first."""

    def update(self, request: MergeRequest, draft: Draft) -> None:
        """Give an open request a new title, description and labels. Labels of other people stay."""

    def close(self, request: MergeRequest, comment: str) -> None:
        """Close it, saying why."""


class NoForge:
    """Plain git: the branch is the request."""

    def options(self, draft: Draft) -> Sequence[str]:
        return ()

    def find(self, branch: str) -> MergeRequest | None:
        return None

    def open(self, draft: Draft) -> MergeRequest:
        return MergeRequest(0, "")

    def update(self, request: MergeRequest, draft: Draft) -> None:
        return None

    def close(self, request: MergeRequest, comment: str) -> None:
        return None


def trust_the_system() -> None:
    """Let requests trust the authorities that the system trusts, or SSL_CERT_FILE names, a company's own among them."""
    truststore.inject_into_ssl()


def address(url: str) -> tuple[str, str]:
    """Split a repository's URL into that of the forge and the path there. Raises RefusedError for a path on a disk."""
    found = on_forge(url)
    if found is None:
        raise RefusedError(f"{url} is on no forge. Set kind = 'git' under [forge], or name its URL there.")
    return found


RIGHTS = {
    "git": "Let the token's user push to branches there.",
    "github": (
        "A token needs to write contents, pull requests, and issues for the labels; where an update changes "
        ".github/workflows, workflows too, which a workflow's own token never may. That one opens requests only where "
        "Settings > Actions > General lets Actions create them."
    ),
    "gitlab": (
        "A token needs the scopes api and write_repository and the role Developer; a job's own, CI_JOB_TOKEN, cannot "
        "open merge requests."
    ),
    "gitlab-push": (
        "A token needs the scope write_repository and the role Developer; a job's own, CI_JOB_TOKEN, may push only "
        "where Settings > CI/CD > Job token permissions lets it."
    ),
}
"""What a token needs, by the kind of forge, for whoever has just been refused."""
SENTENCES = {
    401: "the token is not accepted: it is wrong, or its time is over; make a new one",
    403: "the token may not do this",
    404: "there is no such repository, or the token may not see it",
    409: "somebody else is changing the same request; run this again",
    429: "too many requests; fewer --jobs, or later",
}


def refused(project: str, code: int | None, said: str, rights: str = "") -> FailedError:
    """What a forge's refusal means, in a sentence; `code` is the HTTP status, None if there was no answer.

    :param rights: what a token would need.
    """
    if code is None:
        return FailedError(f"{project}: the forge did not answer.")
    meaning = SENTENCES.get(code, "the forge failed" if code >= 500 else "the forge refused it")
    needed = f" {rights}" if rights and code in {401, 403} else ""
    return FailedError(f"{project}: {meaning} ({code}{f': {said[:200]}' if said else ''}).{needed}")


def shortened(body: str, longest: int) -> str:
    """`body`, cut if a forge would refuse it whole."""
    if len(body) <= longest:
        return body
    return f"{body[:longest].rpartition(chr(10))[0]}\n\n… The report is longer than the forge takes.\n"
