"""Where the template lives, for scaraplate's metadata."""

from __future__ import annotations

from scaraplate.gitremotes import GitRemote

from twelvefold.repository_url import on_forge


class TemplateRemote(GitRemote):
    """Any git remote: HTTP(S), SSH, `git@host:path`, or a path on this machine.

    scaraplate's own classes know three hosts by name, drop the port, and carry the token of a clone URL into
    what they render.
    """

    def project_url(self) -> str:
        """The page of the template's repository; for a local path, the path."""
        found = on_forge(self.remote)
        return "/".join(found) if found else self.remote.removesuffix(".git")

    def commit_url(self, commit_hash: str) -> str:
        """The page of one commit, as GitHub, GitLab, Gitea and Bitbucket Server spell it."""
        return f"{self.project_url()}/commit/{commit_hash}"
