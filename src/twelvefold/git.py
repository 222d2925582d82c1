"""git, as a command: what it prints, and its complaint as one sentence."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from twelvefold.errors import FailedError

# Set by a git hook that calls us, these would point every git command at that hook's repository.
OF_A_CALLING_GIT = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
)
# Up to the last @, for a password may hold one. `git@` is no secret, and the URL means another thing without it.
CREDENTIALS = re.compile(r"(?<=://)(?!git@)[^/\s]*@")


# What git says after the reason, with general advice below it.
AFTER_THE_REASON = "fatal: Could not read from remote repository."
# What git says after a push that was not taken. The reason is above: what the server said, what became of the ref.
AFTER_A_REFUSAL = "error: failed to push some refs to "
REFUSAL = re.compile(r"^(?:remote:| ! \[(?:remote )?rejected\])\s+(?:\S+ -> \S+\s+)?\(?(.*?)\)?\s*$", re.MULTILINE)


class GitError(FailedError):
    """git failed; the message is its reason, in one line, without credentials."""


_deadline: float | None = None  # of time.monotonic


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Inside, no git command goes on longer than `seconds` from now: it is ended, and GitError raised."""
    global _deadline
    before, _deadline = _deadline, time.monotonic() + seconds
    try:
        yield
    finally:
        _deadline = before


def time_left() -> float | None:
    """The seconds that `within` leaves, at least a hundredth; None for no end."""
    return None if _deadline is None else max(_deadline - time.monotonic(), 0.01)


def git(
    folder: Path,
    *arguments: str | Path,
    stdin: str | None = None,
    index: Path | None = None,
    variables: Mapping[str, str] | None = None,
    files: Sequence[int] = (),
) -> str:
    """Run git in `folder` and return what it prints, without the last line end. Raises GitError.

    With `index`, that file stands for the repository's index, which stays as it is; `variables` are in the environment
    of this command alone, and `files` are descriptors that it gets.
    """
    environment = _environment() | ({"GIT_INDEX_FILE": str(index)} if index else {}) | dict(variables or {})
    with subprocess.Popen(  # noqa: S603 - no shell, and what comes from a service is never an option
        ["git", "-C", folder, *arguments],  # noqa: S607 - the user's git
        env=environment,
        stdin=None if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="surrogateescape",
        pass_fds=files,
    ) as process:
        try:
            output, complaint = process.communicate(stdin, timeout=time_left())
        except subprocess.TimeoutExpired as error:
            raise GitError(f"git {arguments[0]}: no answer in the time that there was") from error
        finally:
            if process.returncode is None:
                _kill(process.pid)
    if process.returncode:
        raise GitError(f"git {arguments[0]}: {_reason(complaint) or f'exit code {process.returncode}'}")
    return output.rstrip("\n")


def known_files(folder: Path, *pathspecs: str) -> list[str]:
    """The files below `folder` that git has or would take, of those that fit `pathspecs`. Raises GitError."""
    options = ("-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
    return [path for path in git(folder, "ls-files", *options, "--", *pathspecs).split("\0") if path]


def blob(folder: Path, name: str) -> bytes | None:
    """The bytes of what git calls `name`, such as HEAD:./file; None if there is no such file. Raises GitError."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and the name is no option: it stands behind cat-file's type
            ["git", "-C", folder, "cat-file", "blob", name],  # noqa: S607 - the user's git
            env=_environment(),
            capture_output=True,
            check=False,
            timeout=time_left(),
        )
    except subprocess.TimeoutExpired as error:
        raise GitError("git cat-file: no answer in the time that there was") from error
    return None if done.returncode else done.stdout


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in OF_A_CALLING_GIT}
    return kept | {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"}


def _kill(process: int) -> None:
    """Kill a process with all that it started: git leaves its helper, which waits for the host, to itself."""
    with suppress(OSError):  # it has ended, or this is not Linux
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            _kill(int(child))
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _reason(complaint: str) -> str:
    complaint = without_credentials(complaint)
    before = complaint.partition(AFTER_THE_REASON)[0].strip() or complaint.strip()
    # After a failure of HTTP, what git says last is what that led to.
    last = next((line for line in before.splitlines() if line.startswith("error: RPC failed")), "")
    last = last or (before.splitlines()[-1] if before else "")
    said = [words for words in REFUSAL.findall(complaint) if words] if last.startswith(AFTER_A_REFUSAL) else []
    return ": ".join(dict.fromkeys(said)) or last


def without_credentials(text: str) -> str:
    """`text` with the user name and token of every URL in it taken out."""
    return CREDENTIALS.sub("", text)
