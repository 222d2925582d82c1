"""Roll a template up onto a service: find out what to do, do it whole or not at all, and say what was decided."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twelvefold.decisions import Decision, Outcome
from twelvefold.engine import template as templates
from twelvefold.engine.answers import Migrated, migrated, parsed, refuse_renamed_package
from twelvefold.engine.application import refuse_undeclared, rules_of, spared
from twelvefold.engine.ownership import Migrations
from twelvefold.engine.plan import Plan, Render, followed, plan, refuse_broken, refuse_what_git_lacks
from twelvefold.engine.template import Template, version_of
from twelvefold.errors import RefusedError
from twelvefold.git import GitError, git, time_left, without_credentials
from twelvefold.service import Answer, File, Repository, Service

LOCK_SECONDS = 30
LONGEST_NAME = 100  # what a file system takes, less what stands around an answer


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asks for; what is not given follows from the service's memory."""

    service: Path
    template: str | None = None
    ref: str | None = None
    answers: Mapping[str, str] = field(default_factory=dict)
    may_downgrade: bool = False


@dataclass(frozen=True, slots=True)
class Rollup:
    """A rollup that is planned: nothing has been written."""

    service: Service
    repository: Repository
    template: Template
    version: str
    plan: Plan


def prepare(wanted: Wanted, repository: Repository | None = None) -> Rollup:
    """Find out what a rollup would do. Raises RefusedError or FailedError; writes nothing into the service.

    `repository` is the one around the service, for callers that already have it.
    """
    service = Service.open(wanted.service)
    repository = repository or Repository.around(service.root)
    template = find_template(service, wanted)
    version = str(template.questions().get("_template_version", template.ref))
    if not wanted.may_downgrade:
        refuse_downgrade(service.stamp.get("version"), version, template)
    rules = template.rules()
    questions = template.questions()
    given = parsed(wanted.answers, questions)
    answers = migrated(service.answers, questions, Migrations.load(rules), given)
    if not service.has_own_application:  # else none was seeded, and none would be
        refuse_renamed_package(service.answers, answers.answers, service.manifest)
    planned = plan_for(service, template, rules, answers, is_named=wanted.template is not None)
    planned.notes += uncommitted(template)
    refuse_broken(planned.changes)
    refuse_what_git_lacks(planned, repository)
    service.refuse_another_update()
    return Rollup(service, repository, template, version, planned)


def uncommitted(template: Template) -> list[str]:
    """A note for somebody who works on the template and has not committed."""
    if not template.has_changes():
        return []
    return [f"{template.url} has changes that are not committed; the update goes without them."]


def find_template(service: Service, wanted: Wanted) -> Template:
    """The template that the request or else the memory names, at the ref, else at its newest release."""
    return templates.find(template_url(service, wanted.template), wanted.ref)


def template_url(service: Service, named: str | None) -> str:
    """The template's URL: `named`, or else what the memory says. Raises RefusedError if neither does."""
    url = named or service.stamp.get("url")
    if not url:
        raise RefusedError("The memory does not say which template this is of. Name it: --template URL")
    return url


def refuse_downgrade(mine: str | None, theirs: str, template: Template) -> None:
    """Raise RefusedError if the service is at a newer version than the template."""
    old, new = version_of(mine), version_of(theirs)
    if old and new and new < old:
        raise RefusedError(
            f"The service is at {mine}, and {template.url} at {template.ref} is {theirs}: older. Name a newer one with "
            "--ref, or go back on purpose with --allow-downgrade."
        )


def plan_for(
    service: Service, template: Template, rules: Mapping[str, Any], answers: Migrated, *, is_named: bool
) -> Plan:
    """Plan from the memory where that suffices, else from a render."""
    if service.has_own_application:
        refuse_undeclared(rules)
    files = rules_of(service, rules)
    migrations = Migrations.load(rules)
    folders = migrations.emptied(answers.answers)
    if answers.answers == service.answers and service.stamp.get("content") == template.content():
        remembered = render_from_memory(service, files) if service.remembers_itself else None
        if remembered:
            return plan(service, remembered, {}, folders)
    refuse_untrusted(template.url, is_named=is_named)
    from twelvefold.engine.render import render

    moved = migrations.moved(service.answers)
    refuse_other_paths(answers.answers, template.questions_in_paths())
    now = {new: old for old, new in followed(moved, service).items()}
    shared = {path: now.get(path, path) for path in files}
    rendered = render(template, service, answers.answers, shared, spared(service, rules))
    planned = plan(service, rendered, moved, folders)
    planned.notes += answers.notes
    return planned


def render_from_memory(service: Service, rules: Mapping[str, Any]) -> Render | None:
    """What a render of the same template would give, None if only a render can tell."""
    applied = service.applied()
    files: dict[str, File] = {}
    decisions: list[Decision] = []
    for path, entry in service.manifest.items():
        here = service.file(path)
        if entry.owner == "owned" and not (here and entry.is_like(here)):
            return None
        if entry.owner == "merged" and (path not in rules or path not in applied or entry.is_unmerged):
            return None
        if entry.owner == "merged":
            merged = rules[path].merge(applied[path], applied[path], here and here.content)
            files[path] = File(merged.content, bool(entry.mode & 0o100))
            decisions += merged.decisions
        elif here:
            files[path] = here
    memory = {
        str(path.relative_to(service.root)) for path in (service.root / ".twelvefold").rglob("*") if path.is_file()
    }
    files |= {path: file for path in memory if (file := service.file(path))}
    return Render(files, service, decisions)


def refuse_untrusted(url: str, *, is_named: bool) -> None:
    """Raise RefusedError unless the template's code may run: a person named it just now, or trusted it once."""
    if not is_named and url not in templates.trusted():
        raise RefusedError(
            f"{url} comes out of the service's own files, and rendering it runs its hooks here. If you know it: "
            f"twelvefold trust {url}"
        )


def refuse_other_paths(answers: Mapping[str, Answer], questions: Iterable[str]) -> None:
    """Raise RefusedError if an answer to one of `questions`, which name files and folders, leads to another place."""
    for question in questions:
        answer = str(answers.get(question, question))
        is_name = not re.search(r"[/\0]", answer) and answer not in {".", ".."} and answer.lower() != ".git"
        if not is_name or len(answer.encode()) > LONGEST_NAME or (question == "project_slug" and not answer):
            shown = answer if len(answer) <= LONGEST_NAME else f"{answer[:40]}..."
            raise RefusedError(
                f"{question} = {shown!r} cannot name a file or folder. Type another, without / and of at most "
                f"{LONGEST_NAME} bytes: --answer {question}=..."
            )


@dataclass(frozen=True, slots=True)
class LastSteps:
    """What comes after the files are in place: a lock of the dependencies, a commit, and on which branch."""

    lock: bool = False
    commit: bool = False
    branch: str | None = None


def refuse_other_branch(repository: Repository, last: LastSteps) -> None:
    """Raise RefusedError if the update that was interrupted belongs on a branch, and this is another."""
    here = git(repository.service, "branch", "--show-current")
    if last.branch and here != last.branch:
        raise RefusedError(
            f"The update that was interrupted belongs on the branch {last.branch}. Run: git switch {last.branch}"
        )


@contextmanager
def locked(repository: Repository) -> Iterator[None]:
    """Keep a second run out. Raises RefusedError if one goes on for longer than it should."""
    from filelock import FileLock, Timeout  # slow to import, and nothing to change needs none

    try:
        repository.turn.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(repository.turn, timeout=LOCK_SECONDS):
            yield
    except Timeout as error:
        raise RefusedError("Another update of this service goes on. Wait for it, then run this again.") from error


def lock_dependencies(service: Path, *options: str) -> Decision | None:
    """Run `uv lock`; return a decision if it did not work."""
    uv = shutil.which("uv") or str(service / ".tools/bin/uv")
    try:
        done = subprocess.run(  # noqa: S603 - the user's uv
            [uv, "lock", "--quiet", *options, "--project", service],
            env={"UV_SYSTEM_CERTS": _has_store(), **os.environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=time_left(),
        )
    except subprocess.TimeoutExpired:
        return Decision(
            Outcome.FAILED, "uv.lock", note="could not be made new in the time that there was. Run: make uv.lock"
        )
    except OSError:
        return Decision(Outcome.FAILED, "uv.lock", note="was not made new, because uv is not here. Run: make uv.lock")
    if done.returncode:
        reason = without_credentials(" ".join(done.stderr.split()))
        return Decision(
            Outcome.FAILED, "uv.lock", note=f"could not be made new: {reason}. Fix it and run: make uv.lock"
        )
    return None


def _has_store() -> str:
    """Whether there is a store of authorities: without one uv must not be told to ask it."""
    import ssl

    paths = ssl.get_default_verify_paths()
    return "true" if paths.cafile or paths.capath else "false"


def commit(repository: Repository, paths: Iterable[str], message: str) -> None:
    """Commit `paths` and nothing else, unless they are committed already."""
    wanted = sorted(paths)
    spelled = [repository.places.spelled(path) for path in wanted]
    literal = [f":(literal){path}" for path in spelled]
    listed = git(repository.service, "status", "--porcelain", "--ignored", "--untracked-files=all", "--", *literal)
    if not listed:
        return
    # Unlike `git add`, it takes paths that are gone, from the index too, and ignored ones.
    names = "".join(f"{path}\0" for path in spelled)
    git(repository.service, "update-index", "--add", "--remove", "--replace", "-z", "--stdin", stdin=names)
    # git refuses --only where a file became a folder; it is for what somebody staged elsewhere in a monorepo.
    staged = git(repository.service, "diff", "--cached", "--name-only", "--no-renames", "-z").split("\0")
    own = {repository.named(path) for path in wanted}
    only = [] if own.issuperset(filter(None, staged)) else ["--only", "--", *literal]
    git(repository.service, "commit", "--quiet", "--message", message, *only)


def switch(repository: Repository, branch: str) -> None:
    """Go to `branch`, made if it is not there."""
    git(repository.service, "switch", "--quiet", *([] if has_branch(repository, branch) else ["--create"]), branch)


def continue_on(repository: Repository, branch: str) -> None:
    """Go to `branch` if it is there, before its files are looked at.

    Raises RefusedError if that is no name for a branch, or if there are changes that are not committed.
    """
    refuse_no_branch(branch, repository.service)
    if has_branch(repository, branch) and git(repository.service, "branch", "--show-current") != branch:
        repository.refuse_changes()
        switch(repository, branch)


def refuse_no_branch(name: str, folder: Path) -> None:
    """Raise RefusedError if git, run in `folder`, would not take the name of a branch, or takes it for another's."""
    try:
        is_name = name != "@" and git(folder, "check-ref-format", "--branch", name) == name
    except GitError:
        is_name = False
    if not is_name:
        raise RefusedError(f"{name!r} is no name for a branch. Type another, such as twelvefold/update")


def has_branch(repository: Repository, branch: str) -> bool:
    """Whether the repository has the branch."""
    return bool(git(repository.service, "for-each-ref", "--format=%(refname)", f"refs/heads/{branch}"))
