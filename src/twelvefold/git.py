"""git, as a command: what it prints, and its complaint as one sentence."""

from __future__ import annotations

import os
import re
import subprocess
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


class GitError(FailedError):
    """git failed; the message is its reason, in one line, without credentials."""


def git(folder: Path, *arguments: str | Path, stdin: str | None = None, index: Path | None = None) -> str:
    """Run git in `folder` and return what it prints, without the last line end. Raises GitError.

    With `index`, that file stands for the repository's index, which stays as it is.
    """
    environment = {name: value for name, value in os.environ.items() if name not in OF_A_CALLING_GIT}
    environment |= {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"}
    environment |= {"GIT_INDEX_FILE": str(index)} if index else {}
    done = subprocess.run(  # noqa: S603 - no shell, and what comes from a service is never an option
        ["git", "-C", folder, *arguments],  # noqa: S607 - the user's git
        input=stdin,
        env=environment,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        check=False,
    )
    if done.returncode:
        raise GitError(f"git {arguments[0]}: {_reason(done.stderr) or f'exit code {done.returncode}'}")
    return done.stdout.rstrip("\n")


def _reason(complaint: str) -> str:
    before = complaint.partition(AFTER_THE_REASON)[0].strip() or complaint.strip()
    return without_credentials(before).splitlines()[-1] if before else ""


def without_credentials(text: str) -> str:
    """`text` with the user name and token of every URL in it taken out."""
    return CREDENTIALS.sub("", text)
