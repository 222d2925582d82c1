"""Any command in each repository, and a request of what it changed."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twelvefold.errors import FailedError
from twelvefold.fleet.branch import Branch, signed
from twelvefold.fleet.propose import Proposed
from twelvefold.fleet.remote import Clone
from twelvefold.fleet.results import TurnOutcome
from twelvefold.git import git

OBSOLETE = "The command changes nothing any more."
TOLD = 20
"""The last lines of a command's output that a person is shown."""


@dataclass(frozen=True, slots=True)
class Order:
    """A command, where it runs, and what the request of its changes is called."""

    command: Sequence[str]
    title: str
    folder: str = ""
    seconds: float = 300


def try_out(branch: Branch, order: Order) -> Proposed:
    """Say whether the command would change anything. The main branch is checked out, and stays so."""
    _run(branch.clone, order)
    changed = _changed(branch.clone.folder)
    branch.clone.go_to(branch.heads.head)
    outcome = TurnOutcome.WOULD_CHANGE if changed else TurnOutcome.IN_STEP
    return Proposed(outcome, _counted(changed), proposal=branch.heads.proposal)


def carry_out(branch: Branch, order: Order) -> Proposed:
    """Run the command on the main branch, or on the request's if somebody has worked on it; propose what it changed.

    Raises FailedError with the end of its output if it fails; nothing is pushed then.
    """
    folder = branch.clone.folder
    _run(branch.clone, order)
    changed = _changed(folder)
    if not changed:
        return Proposed(TurnOutcome.IN_STEP, _counted(changed), proposal=branch.withdraw(OBSOLETE))
    branch.start()
    if not _changed(folder):  # it went to the branch, and the changes to the main branch are gone
        _run(branch.clone, order)
    if _changed(folder):
        message = signed(order.title, shlex.join(order.command))
        git(folder, "add", "--all")
        git(folder, "commit", "--quiet", "--no-verify", "--message", message)
    body = _body(order, changed)
    proposal, request = branch.publish(title=order.title, body=body, needs_person=False)
    return Proposed(TurnOutcome.PROPOSED, _counted(changed), body, proposal=proposal, request=request.url)


def _run(clone: Clone, order: Order) -> None:
    """Run the command in the service's folder; what it committed itself counts as changed, like the rest."""
    before = clone.head()
    ended, said = _ended(clone.folder / order.folder, order)
    if ended:
        told = " | ".join(line.strip() for line in said.splitlines()[-TOLD:] if line.strip())
        raise FailedError(f"{order.command[0]} ended with {ended}: {told}")
    git(clone.folder, "reset", "--quiet", "--soft", before)


def _ended(folder: Path, order: Order) -> tuple[int, str]:
    """The exit code of the command, and what it wrote. Nothing that it started outlives it."""
    try:
        process = subprocess.Popen(  # noqa: S603 - what the user typed
            order.command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise FailedError(f"{order.command[0]} cannot be run: {error.strerror}.") from error
    with process:
        try:
            said, _ = process.communicate(timeout=order.seconds)
        except subprocess.TimeoutExpired as error:
            raise FailedError(f"{order.command[0]} was not done in {order.seconds:g} s.") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, said


def _changed(folder: Path) -> list[str]:
    listed = git(folder, "status", "--porcelain", "--untracked-files=all", "-z", "--no-renames").split("\0")
    return [entry[3:] for entry in listed if entry]


def _counted(changed: Sequence[str]) -> str:
    return f"{len(changed)} files changed." if len(changed) != 1 else "1 file changed."


def _body(order: Order, changed: Sequence[str]) -> str:
    files = "\n".join(f"- `{path}`" for path in changed)
    command = f"```console\n$ {shlex.join(order.command)}\n```"
    return f"# {order.title}\n\nWhat this command changed:\n\n{command}\n\n{files}\n"
