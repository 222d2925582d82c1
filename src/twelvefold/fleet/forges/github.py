"""GitHub, through PyGithub."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import requests
from github import Auth, Github, GithubException, GithubRetry

from twelvefold.errors import FailedError
from twelvefold.fleet.forges.base import (
    RIGHTS,
    TIMEOUT,
    TRIES,
    Draft,
    MergeRequest,
    address,
    refused,
    shortened,
    trust_the_system,
)

Answer = TypeVar("Answer")

LONGEST = 60_000  # characters of a body, of 65,536
PUBLIC = "https://github.com"


class GitHub:
    """One repository."""

    def __init__(self, project: str, url: str | None, token: str | None) -> None:
        instance, self._path = address(project)
        api = url or ("https://api.github.com" if instance == PUBLIC else f"{instance}/api/v3")
        self._repository: Any = client(api, token).get_repo(self._path)

    def options(self, draft: Draft) -> Sequence[str]:
        return ()

    def find(self, branch: str) -> MergeRequest | None:
        owner = self._path.partition("/")[0]
        pulls = self._ask(lambda: self._repository.get_pulls(state="open", head=f"{owner}:{branch}").get_page(0))
        return MergeRequest(pulls[0].number, pulls[0].html_url) if pulls else None

    def open(self, draft: Draft) -> MergeRequest:
        body = shortened(draft.body, LONGEST)
        try:
            pull = self._repository.create_pull(base=draft.base, head=draft.branch, title=draft.title, body=body)
        except GithubException as error:
            exists = error.status == 422 and "already exists" in str(error.data)
            request = self.find(draft.branch) if exists else None
            if request is None:
                raise self._refused(error) from error
            self.update(request, draft)
            return request
        except requests.RequestException as error:
            raise self._refused(error) from error
        self._ask(lambda: pull.add_to_labels(*draft.labels))
        return MergeRequest(pull.number, pull.html_url)

    def update(self, request: MergeRequest, draft: Draft) -> None:
        pull = self._ask(lambda: self._repository.get_pull(request.number))
        self._ask(lambda: pull.edit(title=draft.title, body=shortened(draft.body, LONGEST)))
        self._ask(lambda: pull.add_to_labels(*draft.labels))
        for label in {label.name for label in pull.labels} & set(draft.without):
            self._ask(lambda label=label: pull.remove_from_labels(label))  # type: ignore[misc]

    def close(self, request: MergeRequest, comment: str) -> None:
        pull = self._ask(lambda: self._repository.get_pull(request.number))
        self._ask(lambda: pull.create_issue_comment(comment))
        self._ask(lambda: pull.edit(state="closed"))

    def _ask(self, question: Callable[[], Answer]) -> Answer:
        try:
            return question()
        except (GithubException, requests.RequestException) as error:
            raise self._refused(error) from error

    def _refused(self, error: Exception) -> FailedError:
        data = getattr(error, "data", None)
        said = str(data.get("message", "")) if isinstance(data, dict) else ""
        gave_up = 500 if isinstance(error, requests.exceptions.RetryError) else None  # 5xx, each time
        return refused(self._path, getattr(error, "status", gave_up), said, RIGHTS["github"])


def client(api: str, token: str | None) -> Github:
    """A client that waits out the rate limit as its headers say, and tries again after 5xx, a few times."""
    trust_the_system()
    return Github(
        base_url=api,
        auth=Auth.Token(token) if token else None,
        timeout=int(TIMEOUT),
        user_agent="twelvefold",
        retry=GithubRetry(total=TRIES, backoff_factor=1),
        seconds_between_requests=None,
        seconds_between_writes=None,
        lazy=True,
    )
