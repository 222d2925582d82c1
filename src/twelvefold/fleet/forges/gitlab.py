"""GitLab, through python-gitlab."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

import gitlab
import requests
from gitlab.exceptions import GitlabAuthenticationError, GitlabCreateError, GitlabError

from twelvefold.errors import FailedError
from twelvefold.fleet.forges.base import (
    RIGHTS,
    TIMEOUT,
    TRIES,
    Draft,
    MergeRequest,
    NoForge,
    address,
    refused,
    shortened,
    trust_the_system,
)

Answer = TypeVar("Answer")

LONGEST = 1_000_000  # characters of a description, of 1,048,576
LONGEST_OPTION = 15_000  # characters: git sends an option in one packet of 65,516 bytes, and a character takes up to 4


class GitLab:
    """One project."""

    def __init__(self, project: str, url: str | None, token: str | None) -> None:
        instance, self._path = address(project)
        self._requests: Any = client(url or instance, token).projects.get(self._path, lazy=True).mergerequests

    def options(self, draft: Draft) -> Sequence[str]:
        return ()

    def find(self, branch: str) -> MergeRequest | None:
        found = self._ask(lambda: self._requests.list(state="opened", source_branch=branch, per_page=1, get_all=False))
        return MergeRequest(found[0].iid, found[0].web_url) if found else None

    def open(self, draft: Draft) -> MergeRequest:
        wanted = {
            "source_branch": draft.branch,
            "target_branch": draft.base,
            "title": draft.title,
            "description": shortened(draft.body, LONGEST),
            "labels": ",".join(draft.labels),
            "remove_source_branch": True,
        }
        try:
            made = self._requests.create(wanted)
        except GitlabCreateError as error:
            if error.response_code != 409:
                raise self._refused(error) from error
            request = self.find(draft.branch)
            if request is None:
                raise self._refused(error) from error
            self.update(request, draft)
            return request
        except (GitlabError, requests.RequestException) as error:
            raise self._refused(error) from error
        return MergeRequest(made.iid, made.web_url)

    def update(self, request: MergeRequest, draft: Draft) -> None:
        wanted = {"title": draft.title, "description": shortened(draft.body, LONGEST)}
        labels = {"add_labels": ",".join(draft.labels), "remove_labels": ",".join(draft.without)}
        self._ask(lambda: self._requests.update(request.number, {**wanted, **labels}))

    def close(self, request: MergeRequest, comment: str) -> None:
        held = self._requests.get(request.number, lazy=True)
        self._ask(lambda: held.notes.create({"body": comment}))
        self._ask(lambda: self._requests.update(request.number, {"state_event": "close"}))

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        try:
            return question()
        except (GitlabError, requests.RequestException) as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> FailedError:
        code = getattr(error, "response_code", None)
        code = 401 if isinstance(error, GitlabAuthenticationError) else code
        said = getattr(error, "error_message", None)
        said = said if isinstance(said, str) else "" if said is None else str(said)
        return refused(self._path, code, said, RIGHTS["gitlab"])


class GitLabPush(NoForge):
    """One project, told by push options alone, for a token that may push and not use the API.

    GitLab finds or opens the request of the branch that is pushed, and closes it when the branch is deleted. It cannot
    be asked what there is, so that a description changes with the next commit only.
    Source: https://docs.gitlab.com/topics/git/commit/#push-options-for-merge-requests
    """

    def __init__(self, project: str, url: str | None) -> None:
        instance, path = address(project)
        self._page = f"{url or instance}/{path}/-/merge_requests"

    def options(self, draft: Draft) -> Sequence[str]:
        # An option is a line; GitLab takes these two characters for its end.
        body = shortened(draft.body, LONGEST_OPTION).replace("\n", "\\n")
        return [
            "merge_request.create",
            f"merge_request.target={draft.base}",
            f"merge_request.title={draft.title}",
            f"merge_request.description={body}",
            "merge_request.remove_source_branch",
            *(f"merge_request.label={label}" for label in draft.labels),
            *(f"merge_request.unlabel={label}" for label in draft.without),
        ]

    def open(self, draft: Draft) -> MergeRequest:
        return MergeRequest(0, f"{self._page}?{urlencode({'state': 'opened', 'source_branch': draft.branch})}")


def client(url: str, token: str | None) -> gitlab.Gitlab:
    """A client that waits 429 out as Retry-After says, and tries again after 5xx and lost connections, a few times."""
    trust_the_system()
    # Not as `private_token`: its header follows a redirect to another host. GitLab takes all its tokens as a bearer.
    made = gitlab.Gitlab(url, oauth_token=token, timeout=TIMEOUT, retry_transient_errors=True, user_agent="twelvefold")
    made.http_request = _bounded(made.http_request)  # type: ignore[method-assign]
    return made


def _bounded(request: Callable[..., Any]) -> Callable[..., Any]:
    def ask(*arguments: Any, **options: Any) -> Any:
        return request(*arguments, **{"max_retries": TRIES, **options})

    return ask
