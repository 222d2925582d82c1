"""Where the template lives, for scaraplate's metadata."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from scaraplate.gitremotes import GitRemote


class TemplateRemote(GitRemote):
    """Any git remote: HTTP(S), SSH, `git@host:path`, or a path on this machine.

    scaraplate's own classes know three hosts by name, drop the port, and carry the token of a clone URL into
    what they render.
    """

    def project_url(self) -> str:
        """The page of the template's repository; for a local path, the path."""
        url = re.sub(r"^[\w.-]+@([\w.-]+):(?!/)", r"https://\1/", self.remote)
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https", "ssh", "git"}:
            return url.removesuffix(".git")
        is_web = parts.scheme in {"http", "https"}
        host = parts.hostname or ""
        netloc = f"{host}:{parts.port}" if is_web and parts.port else host
        return urlunsplit((parts.scheme if is_web else "https", netloc, parts.path.removesuffix(".git"), "", ""))

    def commit_url(self, commit_hash: str) -> str:
        """The page of one commit, as GitHub, GitLab, Gitea and Bitbucket Server spell it."""
        return f"{self.project_url().rstrip('/')}/commit/{commit_hash}"
