"""Repositories of services as git sees them: what is there, a clone to work in, and a push. No token is ever stored."""

from __future__ import annotations

import base64
import contextlib
import email.utils
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from twelvefold.errors import FailedError
from twelvefold.fleet.forges.base import TRIES
from twelvefold.git import GitError, git, time_left
from twelvefold.service import refuse_links

NAME, EMAIL = "Twelvefold", "twelvefold@localhost"
COMMITS = {
    "GIT_AUTHOR_NAME": NAME,
    "GIT_AUTHOR_EMAIL": EMAIL,
    "GIT_COMMITTER_NAME": NAME,
    "GIT_COMMITTER_EMAIL": EMAIL,
}
UNKNOWN = re.compile("returned error: 401|Authentication failed|could not read (Username|Password)")
FORBIDDEN = re.compile(
    r"protected|denied|read-only|archived|pre-receive|not allowed|refusing to allow|returned error: 403", re.IGNORECASE
)
"""What git and the forges say when it is the token's rights that are in the way."""
SLOW = {"GIT_HTTP_LOW_SPEED_LIMIT": "1000", "GIT_HTTP_LOW_SPEED_TIME": "30"}  # bytes a second, for so many seconds
SETTINGS = {
    "user.name": NAME,
    "user.email": EMAIL,
    "gc.auto": "0",
    "advice.detachedHead": "false",
    # A repository's own files must not choose what runs here, not by way of the user's hooks and settings either.
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "fetch.recurseSubmodules": "false",
    "push.recurseSubmodules": "no",
    "submodule.recurse": "false",
}
TRANSIENT = re.compile(
    r"(error:|HTTP) (429|5\d\d)|resolve host|failed to connect|couldn't connect|connection (refused|reset|closed)"
    r"|early EOF|unexpected disconnect|hung up unexpectedly",
    re.IGNORECASE,
)
"""What git says of a failure that may pass by itself."""
LOWEST = 200
"""The lowest number of a descriptor that is made for git."""
MOVED = re.compile(r"returned error: 30[12378]")


class ProtectedError(FailedError):
    """The repository may not be read or pushed to with this token, or is read-only."""


@contextlib.contextmanager
def changed_environment(changes: Mapping[str, str | None]) -> Iterator[None]:
    """Inside, the environment has these variables; it is without those that are None."""
    before = {name: os.environ.get(name) for name in changes}
    _set(changes)
    try:
        yield
    finally:
        _set(before)


def _set(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def environment(token: str | None) -> dict[str, str | None]:
    """How the environment is to be changed for work on a service.

    Commits are ours by name; git waits for nobody; and nothing that is started sees the token, whatever the name of the
    variable that holds it: the build of a service's dependencies runs code that nobody here has read.
    """
    hidden = dict.fromkeys([name for name, value in os.environ.items() if token and token in value])
    return {**COMMITS, **SLOW, **_ssh(), **hidden}


@lru_cache(maxsize=1)
def _ssh() -> dict[str, str]:
    """ssh that asks nobody, unless the user has said how it is to be run."""
    if os.environ.get("GIT_SSH_COMMAND") or os.environ.get("GIT_SSH"):
        return {}
    try:
        git(Path(), "config", "--get", "core.sshCommand")
    except GitError:
        return {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=30"}
    return {}


@dataclass(frozen=True, slots=True)
class Remote:
    """A service's repository as git reaches it. Every git command that talks to it goes through `ask`."""

    url: str
    user: str = ""
    token: str | None = field(default=None, repr=False)

    def ask(self, folder: Path, *arguments: str | Path) -> str:
        """Run git, and show the token to the host of the URL and to no other. Raises GitError.

        The token lies in a file of settings that is in memory alone: a URL, an option or a setting would show it to
        whoever lists processes or reads the clone, a variable to whoever reads their environments. What may pass by
        itself is tried again, later each time, and not before the host's Retry-After.
        """
        for attempt in range(TRIES + 1):
            with tempfile.NamedTemporaryFile(prefix="twelvefold-") as trace, self._shown() as (told, files):
                try:
                    return git(folder, *arguments, variables={**told, **self._tracing(trace.name)}, files=files)
                except GitError as error:
                    if MOVED.search(error.message):
                        raise GitError(f"{error.message}: the repository has moved; fix its URL") from error
                    seconds = max(2.0**attempt, retry_after(Path(trace.name)))
                    left = time_left()
                    if not self._may_pass(error) or attempt == TRIES or (left is not None and seconds >= left):
                        raise
            time.sleep(seconds)
        raise AssertionError("the last attempt returns or raises")

    def _may_pass(self, error: GitError) -> bool:
        return not os.path.isabs(self.url) and bool(TRANSIENT.search(error.message))  # noqa: PTH117 - a URL, too

    @contextlib.contextmanager
    def _shown(self) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
        """What shows git the token: variables, and the descriptors that they name.

        Where there are no files in memory (macOS), the variables hold the token themselves, while git runs.
        """
        settings = self._token()
        file = _in_memory(settings) if settings else None
        if file is None:
            yield _variables(settings), ()
            return
        try:
            yield _variables({"include.path": f"/proc/self/fd/{file}"}), (file,)
        finally:
            os.close(file)

    def _token(self) -> dict[str, str]:
        """The settings of git by which it shows the token."""
        parts = urlsplit(self.url)
        if not self.token or parts.scheme not in {"http", "https"}:
            return {}
        secret = base64.b64encode(f"{self.user}:{self.token}".encode()).decode()
        host = f"http.{parts.scheme}://{parts.netloc}/"
        # git shows a header of its settings to whatever host it is redirected to.
        return {f"{host}.extraHeader": f"Authorization: Basic {secret}", f"{host}.followRedirects": "false"}

    def _tracing(self, file: str) -> dict[str, str]:
        """What makes git write down the headers that it gets: it has no other way to tell of Retry-After."""
        if not self.url.startswith("http"):
            return {}
        return {"GIT_TRACE_CURL": file, "GIT_TRACE_CURL_NO_DATA": "1", "GIT_TRACE_REDACT": "1"}


def _variables(settings: Mapping[str, str]) -> dict[str, str]:
    """The variables that tell git of settings, after those that the user has there."""
    if not settings:
        return {}
    first = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    told = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for number, (key, value) in enumerate(settings.items(), start=first):
        told |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return told


def _in_memory(settings: Mapping[str, str]) -> int | None:
    """The descriptor of a file of settings that has no name; None where the system has no such files."""
    if not hasattr(os, "memfd_create") or not Path("/proc/self/fd").is_dir():
        return None
    made = os.memfd_create("settings")
    # High, so that a helper of git's that closes it does not open another file under its number.
    file = fcntl.fcntl(made, fcntl.F_DUPFD_CLOEXEC, LOWEST)
    os.close(made)
    for key, value in settings.items():
        section, _, rest = key.partition(".")
        place, _, name = rest.rpartition(".")
        escaped = place.replace("\\", "\\\\").replace('"', '\\"')
        os.write(file, f'[{section} "{escaped}"]\n\t{name} = {value}\n'.encode())
    return file


def retry_after(trace: Path) -> float:
    """The seconds that the last Retry-After in a trace of git's asks for, 0 if there is none."""
    told = re.findall(r"Recv header: retry-after: *(.+)", trace.read_text(errors="replace"), re.IGNORECASE)
    if not told:
        return 0.0
    if told[-1].strip().isdigit():
        return float(told[-1])
    try:
        return (email.utils.parsedate_to_datetime(told[-1]) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return 0.0


@dataclass(frozen=True, slots=True)
class Heads:
    """What a repository has now: its main branch and its commit, and that of the request's branch, "" if none."""

    main: str
    head: str
    proposal: str


def heads(remote: Remote, branch: str) -> Heads:
    """Ask the repository what it has, without a clone. Raises FailedError; an empty repository is one, too.

    Raises ProtectedError if it may not be read.
    """
    with forbidden():
        answer = remote.ask(Path(), "ls-remote", "--symref", "--", remote.url, "HEAD", f"refs/heads/{branch}")
    main = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", answer, re.MULTILINE)
    head = re.search(r"^([0-9a-f]{40,64})\tHEAD$", answer, re.MULTILINE)
    if not main or not head:
        raise FailedError("The repository is empty, or has no main branch.")
    proposal = re.search(rf"^([0-9a-f]{{40,64}})\trefs/heads/{re.escape(branch)}$", answer, re.MULTILINE)
    return Heads(main[1], head[1], proposal[1] if proposal else "")


class Clone:
    """A clone of a service's repository, kept between runs. Whoever uses it has it for itself.

    :param inside: the service's folder in the repository.
    """

    def __init__(self, folder: Path, remote: Remote, inside: str = "") -> None:
        self.folder = folder
        self.remote = remote
        self.inside = inside

    def update(self, heads: Heads, branch: str) -> None:
        """Bring it to what `heads` says, with the main branch checked out and nothing else in the folder.

        Raises RefusedError if a link leads from the service's folder to somewhere else.
        """
        try:
            self._update(heads, branch)
        except GitError:
            # What a killed run left, or somebody's hands: a clone is made again rather than fixed.
            if not self.folder.exists():
                raise
            shutil.rmtree(self.folder)
            self._update(heads, branch)

    def _update(self, heads: Heads, branch: str) -> None:
        is_new = not (self.folder / ".git").exists()
        if is_new:
            self._clone()
        self._settle()
        if not is_new and not self._has(heads):
            wanted = [f"+refs/heads/{heads.main}:refs/remotes/origin/{heads.main}"]
            if heads.proposal:
                wanted.append(f"+refs/heads/{branch}:refs/remotes/origin/{branch}")
            self.remote.ask(self.folder, "fetch", "--quiet", "--no-tags", "--", "origin", *wanted)
        self.go_to(heads.head)

    def _clone(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        # Blobs come when they are needed, so that a long history costs little; a path ignores the filter.
        options = ("--quiet", "--no-checkout", "--no-tags", "--filter=blob:none", "--template=", *settings)
        self.remote.ask(self.folder.parent, "clone", *options, "--", self.remote.url, self.folder.name)
        shutil.copyfile(self.folder / ".git/config", self._settings)

    @property
    def _settings(self) -> Path:
        """A copy of the clone's settings as it was made with."""
        return self.folder.with_name(f"{self.folder.name}.config")

    def _settle(self) -> None:
        """Give the clone its settings back: what ran in its folder may have named programs in them.

        git would run those where it shows the token. Raises GitError if it is no clone of ours any more.
        """
        directory = self.folder / ".git"
        if directory.is_symlink() or not directory.is_dir() or not self._settings.is_file():
            raise GitError(f"{self.folder} is no clone of ours")
        for name in ("commondir", "config.worktree", "index.lock"):
            (directory / name).unlink(missing_ok=True)
        settings = directory / "config"
        settings.unlink(missing_ok=True)  # it may be a link
        shutil.copyfile(self._settings, settings)

    def _has(self, heads: Heads) -> bool:
        """Whether the clone was brought to these already. To ask for an object would fetch it, history and all."""
        tips = git(self.folder, "for-each-ref", "--format=%(objectname)", "refs/remotes/origin").split()
        return {heads.head, heads.proposal} - {""} <= set(tips)

    def go_to(self, commit: str) -> None:
        """Check `commit` out, whatever stood in the folder."""
        self.remote.ask(self.folder, "checkout", "--quiet", "--force", "--detach", commit)
        git(self.folder, "clean", "--quiet", "-ffdx")
        self._refuse_links()

    def _refuse_links(self) -> None:
        if self.inside:
            refuse_links(self.folder, self.inside)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `newer` holds `older`."""
        return bool(older) and not git(self.folder, "rev-list", "--max-count=1", older, "--not", newer)

    def commits(self, base: str, tip: str) -> list[tuple[str, str]]:
        """The committer's address and the message of each commit that `tip` has and `base` has not."""
        log = git(self.folder, "log", "-z", "--format=%ce%n%B", f"{base}..{tip}").split("\0")
        return [(address, message) for address, _, message in (one.partition("\n") for one in log if one)]

    def tree(self, commit: str = "HEAD") -> str:
        """The hash of what a commit holds."""
        return git(self.folder, "rev-parse", f"{commit}^{{tree}}")

    def head(self) -> str:
        """The commit that is checked out."""
        return git(self.folder, "rev-parse", "HEAD")

    def merge(self, commit: str) -> bool:
        """Merge `commit` into what is checked out; False, and nothing is changed, if that needs a person."""
        try:
            self.remote.ask(self.folder, "merge", "--quiet", "--no-edit", commit)
        except GitError:
            if not git(self.folder, "ls-files", "--unmerged"):
                raise
            self.go_to(self.head())
            return False
        self._refuse_links()
        return True

    def push(self, branch: str, *, expected: str, options: Sequence[str] = ()) -> None:
        """Push what is checked out as `branch`, unless that is not at `expected`, "" for none, any more.

        :param options: what the forge is told with it, a line each.

        Raises ProtectedError if it may not be.
        """
        self._push(branch, self.head(), expected, *(f"--push-option={option}" for option in options))

    def delete(self, branch: str, *, expected: str) -> None:
        """Delete `branch`, unless it is not at `expected` any more."""
        self._push(branch, "", expected)

    def _push(self, branch: str, commit: str, expected: str, *options: str) -> None:
        self._settle()
        lease = f"--force-with-lease=refs/heads/{branch}:{expected}"
        what = f"{commit}:refs/heads/{branch}"
        try:
            with forbidden():
                push = ("push", "--quiet", "--no-verify", *options, lease)
                self.remote.ask(self.folder, *push, "--", "origin", what)
        except GitError as error:
            # It came there, and the answer was lost on the way: the second attempt finds its own commit.
            if "stale info" not in error.message or heads(self.remote, branch).proposal != commit:
                raise


@contextlib.contextmanager
def forbidden() -> Iterator[None]:
    """Inside, a git command that the token's rights do not suffice for raises ProtectedError."""
    try:
        yield
    except GitError as error:
        said = re.sub(r"'[^']*'", "", error.message)  # a repository may be called protected
        if UNKNOWN.search(said):
            raise ProtectedError(f"The token is not accepted, or there is none ({error.message}).") from error
        if FORBIDDEN.search(said):
            raise ProtectedError(f"The token may not do this ({error.message}).") from error
        raise
