"""The branch of a request: where work on it begins, what is ours in it, and what the forge is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twelvefold.errors import RefusedError
from twelvefold.fleet.forges import Draft, Forge, MergeRequest
from twelvefold.fleet.remote import EMAIL, Clone, Heads

TRAILER = "Twelvefold"
PERSON = "needs-a-person"


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch for a request in a clone, and what the repository has of it."""

    clone: Clone
    heads: Heads
    name: str
    forge: Forge
    labels: Sequence[str]

    def start(self) -> None:
        """Check out what work goes on from: the branch, with the main branch in it, or else the main branch.

        Raises RefusedError if somebody has worked on the branch and the main branch cannot be merged into it.
        """
        clone, heads = self.clone, self.heads
        if not heads.proposal or clone.is_ancestor(heads.proposal, heads.head):
            return
        has_main = clone.is_ancestor(heads.head, heads.proposal)
        if not has_main and self.is_ours():
            return  # the main branch moved on, and nobody else has worked on ours: it is made anew
        clone.go_to(heads.proposal)
        if not has_main and not clone.merge(heads.head):
            raise RefusedError(
                f"{heads.main} cannot be merged into {self.name}, on which somebody has worked. Merge it there by "
                "hand, or close the request and delete its branch."
            )

    def is_ours(self) -> bool:
        """Whether every commit of the branch is one of these, so that nobody's work goes with it.

        Whoever amends one of them keeps its message, and becomes its committer.
        """
        commits = self.clone.commits(self.heads.head, self.heads.proposal)
        return all(committer == EMAIL and f"\n{TRAILER}: " in message for committer, message in commits)

    def publish(self, *, title: str, body: str, needs_person: bool) -> tuple[str, MergeRequest]:
        """Push what is checked out, if that is new, and open the request, or bring the open one up to date.

        Returns the commit of the branch, and the request.
        """
        labels = [*self.labels, *([PERSON] if needs_person else [])]
        draft = Draft(self.name, self.heads.main, title, body, labels, [] if needs_person else [PERSON])
        tip = self.clone.head()
        if tip != self.heads.proposal:
            self.clone.push(self.name, expected=self.heads.proposal, options=self.forge.options(draft))
        request = self.forge.find(self.name)
        if request is None:
            return tip, self.forge.open(draft)
        self.forge.update(request, draft)
        return tip, request

    def withdraw(self, reason: str) -> str:
        """Close a request that is still open, and delete the branch if it is ours; return the branch's commit then."""
        if not self.heads.proposal:
            return ""
        request = self.forge.find(self.name)
        if request:
            self.forge.close(request, reason)
        if not self.is_ours():
            return self.heads.proposal
        self.clone.delete(self.name, expected=self.heads.proposal)
        return ""


def signed(message: str, what: str) -> str:
    """A commit's message, marked as one of ours."""
    return f"{message.rstrip()}\n\n{TRAILER}: {what}\n"
