"""The address of a git repository, as people write it: a URL, the short form of ssh (`git@host:path`), or a path."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

# A slash before the colon makes it a path, and a second colon a transport helper, which may be a command:
# https://git-scm.com/docs/git-clone#_git_urls
SHORT_FORM = re.compile(r"(?P<host>([\w.-]+@)?[\w.-]+):(?!:)(?P<path>.*)", re.DOTALL)
WEB = {"http", "https"}


def is_remote(address: str) -> bool:
    """Whether git asks a host for it, or else this machine's disk."""
    return "://" in address or SHORT_FORM.fullmatch(address) is not None


def as_url(address: str) -> str:
    """`address` with the short form written out, `git@host:path` as `ssh://git@host/path`; any other as it is."""
    short = None if "://" in address else SHORT_FORM.fullmatch(address)
    return f"ssh://{short['host']}/{short['path'].lstrip('/')}" if short else address


def on_forge(address: str) -> tuple[str, str] | None:
    """The URL of the forge, without users and tokens, and the repository's path there; None if it is on no forge.

    A port of ssh is left out: the forge's pages are not there.
    """
    parts = urlsplit(as_url(address))
    path = without_suffix(parts.path).lstrip("/")
    if parts.scheme not in WEB | {"ssh", "git"} or not parts.hostname or not path:
        return None
    if parts.scheme in WEB:
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}", path
    return f"https://{parts.hostname}", path


def without_suffix(address: str) -> str:
    """`address` without what may stand at its end or not: a slash, `.git`."""
    return address.rstrip("/").removesuffix("/.git").removesuffix(".git")
