"""One service's turn: look what changed, and only then clone, roll up, push. Runs in a worker process."""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import click
from filelock import FileLock, Timeout

from twelvefold.engine import template as templates
from twelvefold.engine.template import Template
from twelvefold.errors import FailedError, RefusedError
from twelvefold.fleet import command
from twelvefold.fleet.branch import Branch
from twelvefold.fleet.command import Order
from twelvefold.fleet.forges import FORGES, RIGHTS, USERS
from twelvefold.fleet.propose import Proposed, Wish, check, propose
from twelvefold.fleet.remote import Clone, Heads, ProtectedError, Remote, changed_environment, environment, heads
from twelvefold.fleet.results import Result, Results, TurnOutcome
from twelvefold.git import time_left, within, without_credentials
from twelvefold.service import TEMPLATE, read_file


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker is told of one service."""

    key: str
    name: str
    url: str
    wish: Wish
    template: Template
    forge: str = "git"
    forge_url: str | None = None
    token: str | None = field(default=None, repr=False)
    """The secret itself. A worker gets it with the job, through a pipe."""
    results: Path = Path(".fleet/results")
    clones: Path = Path(".fleet/clones")
    seconds: float = 300
    run: str = ""
    is_dry: bool = False
    is_discovered: bool = False
    order: Order | None = None
    """A command to run instead of an update."""

    @property
    def inputs(self) -> str:
        """A hash of all that decides about the outcome besides what the service has."""
        wish = self.wish
        deciding = [self.template.content(), wish.template, sorted(wish.answers.items()), wish.folder, wish.branch]
        ordered = [*self.order.command, self.order.title] if self.order else []
        told = json.dumps([*deciding, [*wish.labels], wish.heal, wish.lock, wish.build, self.forge, ordered])
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def run(job: Job) -> Result:
    """Do a service's turn, and keep its result. Never raises: what goes wrong is a result."""
    began = time.monotonic()
    results = Results(job.results)
    previous = results.get(job.key)
    try:
        with within(job.seconds), changed_environment(environment(job.token)):
            result = _turn(job, previous, _remote(job))
    except ProtectedError as error:
        result = _gone_wrong(job, previous, TurnOutcome.FAILED, f"{error.message} {RIGHTS[job.forge]}")
    except click.ClickException as error:
        outcome = TurnOutcome.PERSON if isinstance(error, RefusedError) else TurnOutcome.FAILED
        result = _gone_wrong(job, previous, outcome, error.message)
    except Exception as error:  # one bad repository must not stop the others
        result = _gone_wrong(job, previous, TurnOutcome.FAILED, f"{type(error).__name__}: {error}")
    result = replace(result, run=job.run, at=_now(), seconds=round(time.monotonic() - began, 3))
    return results.put(job.key, _printable(_scrubbed(result, job.token)))


def _turn(job: Job, previous: Result | None, remote: Remote) -> Result:
    there = heads(remote, job.wish.branch)
    if there.main == job.wish.branch:
        raise RefusedError(
            f"{there.main} is the main branch there: a request needs one of its own. Set another branch in fleet.toml."
        )
    if previous and _nothing_changed(job, previous, there):
        return previous
    with _alone_with(job):
        clone = Clone(job.clones / job.key, remote, job.wish.folder)
        clone.update(there, job.wish.branch)
        version = _version(clone, job.wish)
        if job.is_discovered and not version:
            return Result(
                job.name, job.url, TurnOutcome.NONE, head=there.head, proposal=there.proposal, inputs=job.inputs
            )
        forge = FORGES[job.forge](job.url, job.forge_url, remote.token)
        branch = Branch(clone, there, job.wish.branch, forge, job.wish.labels)
        return _result(job, there, version, _done(job, branch))


@contextlib.contextmanager
def _alone_with(job: Job) -> Iterator[None]:
    """Wait for a worker of a run that was killed: it may be at this clone still, until its turn is over."""
    job.clones.mkdir(parents=True, exist_ok=True)
    left = time_left()
    try:
        with FileLock(job.clones / f"{job.key}.lock", timeout=-1 if left is None else left):
            yield
    except Timeout as error:
        raise FailedError("Another run is at this service still. Try again later.") from error


def _done(job: Job, branch: Branch) -> Proposed:
    if job.order:
        return (command.try_out if job.is_dry else command.carry_out)(branch, job.order)
    with _finding(job.template, job.wish):
        return (check if job.is_dry else propose)(branch, job.wish)


def _nothing_changed(job: Job, previous: Result, there: Heads) -> bool:
    """Whether the last run came to an end that would come out of this one, too."""
    is_done = previous.outcome not in {TurnOutcome.FAILED, *([] if job.is_dry else [TurnOutcome.WOULD_CHANGE])}
    return is_done and (previous.head, previous.proposal, previous.inputs) == (there.head, there.proposal, job.inputs)


def _result(job: Job, there: Heads, version: str, done: Proposed) -> Result:
    return Result(
        name=job.name,
        url=without_credentials(job.url),
        outcome=done.outcome,
        sentence=done.sentence,
        version=version,
        target=done.target,
        head=there.head,
        proposal=done.proposal,
        request=done.request,
        inputs=job.inputs,
        drift=done.drift,
        report=done.body,
    )


def _gone_wrong(job: Job, previous: Result | None, outcome: TurnOutcome, sentence: str) -> Result:
    known = previous or Result(job.name, without_credentials(job.url), outcome)
    # Without its head, so that the next run looks again.
    return replace(known, outcome=outcome, sentence=" ".join(sentence.split()), head="", report="")


def _version(clone: Clone, wish: Wish) -> str:
    """The version of the template that the service's main branch is at; "" for no service.

    Raises RefusedError if the memory is a link.
    """
    note = read_file(clone.folder / wish.folder, str(TEMPLATE))
    try:
        return str(json.loads(note.content)["version"]) if note else ""
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def _remote(job: Job) -> Remote:
    if not job.token:
        return Remote(job.url)
    _refuse_another_host(job)
    return Remote(job.url, USERS[job.forge], job.token)


def _refuse_another_host(job: Job) -> None:
    """Raise RefusedError if the token would be shown to another host than the forge's, or in clear text."""
    here, forge = urlsplit(job.url), urlsplit(job.forge_url or job.url)
    if here.scheme not in {"http", "https"}:
        return
    is_safe = here.scheme == "https" or forge.scheme == "http"
    if not is_safe or here.hostname != (forge.hostname or "").removeprefix("api."):
        where = f"{here.scheme}://{here.hostname}"
        raise RefusedError(
            f"It lies on {where}, and the token is for {forge.scheme}://{forge.hostname}. Fix its URL, or the "
            "forge's; a service on another forge is for a fleet.toml of its own."
        )


def _scrubbed(result: Result, token: str | None) -> Result:
    if not token:
        return result
    return replace(result, sentence=result.sentence.replace(token, "***"), report=result.report.replace(token, "***"))


def _printable(result: Result) -> Result:
    """A result without what a terminal obeys: a host, a command or a service may have said it."""
    return replace(result, sentence=_shown(result.sentence), version=_shown(result.version))


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


@contextlib.contextmanager
def _finding(template: Template, wish: Wish) -> Iterator[None]:
    """Let the engine find the template that the fleet found: it is the same for all, and fetched once."""
    with templates.finding_once():
        templates.found_already(wish.template, wish.ref, template)
        yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
