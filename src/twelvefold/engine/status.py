"""Where a service stands, found out without a render."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from twelvefold.decisions import Decision, Outcome, shown, shown_apart
from twelvefold.engine import template as templates
from twelvefold.engine import transaction
from twelvefold.engine.application import rules_of
from twelvefold.engine.bases import damage
from twelvefold.engine.members import Members
from twelvefold.engine.plan import interrupted
from twelvefold.engine.rollup import render_from_memory
from twelvefold.engine.template import NoReleaseError, Template
from twelvefold.errors import FailedError, RefusedError
from twelvefold.service import MEMORY, File, ManifestEntry, Repository, Service
from twelvefold.strategies.files import FileRule
from twelvefold.workspace import VENDOR

NOT_COMPARED = "Merged files were not compared."
UNMERGED = "was not merged by the last update"


@dataclass(frozen=True, slots=True)
class Drift:
    """A place of the template's that is not as it was rendered; `key` is "" for a whole file."""

    path: str
    sentence: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Status:
    """Where a service stands; `newest` is None, with a `note`, if nobody can say."""

    service: str
    version: str
    newest: str | None
    drift: list[Drift]
    is_outdated: bool
    was_interrupted: bool
    note: str = ""
    workspace: Sequence[Drift] = ()
    """What a rollup of this service would tell of others in its workspace, and not mend."""

    @property
    def is_in_step(self) -> bool:
        """Whether a rollup to the newest release would change nothing and tell nothing, as far as can be told."""
        return self.fits_template and not self.workspace

    @property
    def fits_template(self) -> bool:
        """Whether a rollup to the newest release would change nothing, as far as can be told."""
        return not (self.drift or self.is_outdated or self.was_interrupted)

    def as_data(self) -> dict[str, object]:
        """For programs."""
        return {
            "service": self.service,
            "version": self.version,
            "newest": self.newest,
            "in_step": self.is_in_step,
            "outdated": self.is_outdated,
            "interrupted": self.was_interrupted,
            "drift": [asdict(one) for one in self.drift],
            "workspace": [asdict(one) for one in self.workspace],
            "note": self.note,
        }

    def lines(self) -> Iterator[tuple[str, str]]:
        """For a terminal: pairs of a kind and a line."""
        yield "title", f"{self.service}: {self.version}"
        if self.was_interrupted:
            yield "open", "An update was interrupted. To finish it: twelvefold rollup"
        if self.note:
            yield "note", self.note
        if self.is_outdated:
            yield "open", f"An update to {self.newest} is there. To see it: twelvefold rollup --diff"
        for one in (*self.drift, *self.workspace):
            yield "open", f"{one.path}: {one.sentence}" if one.key else f"{one.path} {one.sentence}"
        yield "summary", self.summary

    @property
    def summary(self) -> str:
        """The outcome in one sentence."""
        if not self.fits_template:
            return "Not in step. To fix it: twelvefold rollup"
        if self.workspace:
            return "In step with the template, and not with its workspace."
        return "In step with the template, as far as can be told." if self.note else "In step with the template."


def status_of(folder: Path, url: str | None) -> Status:
    """Find out where the service in `folder` stands. Raises RefusedError if there is none."""
    repository = Repository.found(folder)
    was_interrupted = repository is not None and transaction.is_open(repository.state)
    try:
        service = Service.open(folder)
    except RefusedError:
        if not was_interrupted:
            raise
        service = Service(folder.resolve())  # an adoption that has not come to the memory
    newest, note = find_newest(url or service.stamp.get("url"))
    version = service.stamp.get("version", "unknown")
    content = service.stamp.get("content")
    members = Members.of(service)
    return Status(
        service=str(service.answers.get("project_slug") or service.root.name),
        version=version,
        newest=newest.ref if newest else None,
        drift=drift_of(service, members, newest),
        is_outdated=newest is not None and newest.content() != content and not is_older(newest.ref, version),
        was_interrupted=was_interrupted,
        note=note,
        workspace=in_workspace(service, members),
    )


def in_workspace(service: Service, members: Members) -> list[Drift]:
    """What is to be said of the other services of the workspace."""
    command = "has an update that was interrupted. To finish it, at the workspace's root: twelvefold rollup"
    open_ = [Drift(name, f"{command} {shlex.quote(name)}") for name in interrupted(members)]
    decisions = members.unshared(service.manifest)
    decisions += [] if open_ else members.out_of_step(service.manifest, service.file)
    return [*open_, *(Drift(one.path, one.sentence) for one in decisions)]


def find_newest(url: str | None) -> tuple[Template | None, str]:
    """The newest release, or why there is none to compare with."""
    if not url:
        return None, f"The memory does not say which template this is of. {NOT_COMPARED}"
    try:
        return templates.find(url, None), ""
    except NoReleaseError:
        return None, f"The template has no release yet. {NOT_COMPARED}"
    except (FailedError, RefusedError) as error:
        reason = error.message if error.message.endswith(".") else f"{error.message}."
        return None, f"The newest release is not known: {reason} {NOT_COMPARED}"


def is_older(ref: str, version: str) -> bool:
    """Whether the release is older than what the service has, as when it follows a branch."""
    theirs, mine = templates.version_of(ref), templates.version_of(version)
    return bool(theirs and mine and theirs < mine)


def drift_of(service: Service, members: Members, newest: Template | None) -> list[Drift]:
    """What of the template's is not as it was rendered, in owned files and, by the newest rules, in merged ones."""
    files = {path: service.file(path) for path, entry in service.manifest.items() if entry.owner == "owned"}
    different = {
        path: sentence for path, file in files.items() if (sentence := difference(service.manifest[path], file))
    }
    left = {path: names for path in different if (names := members.left_so(path, files[path]))}
    found = [Drift(path, sentence) for path, sentence in different.items() if path not in left]
    if left:
        name = next(iter(left.values()))[0]
        found.append(Drift(VENDOR, f"is of the version that {name}, which shares it, was updated to"))
    if not service.remembers_itself:
        found.append(Drift(str(MEMORY), "is not as the last update wrote it"))
    return found + (drift_in_merged(service, rules_of(service, newest.rules())) if newest else [])


def difference(entry: ManifestEntry, file: File | None) -> str:
    """In what an owned file is not as it was rendered; "" if in nothing."""
    if file is None:
        return "is missing"
    if entry.sha256 != file.sha256:
        return "is not as the template has it"
    if not entry.is_like(file):
        return f"is {'' if file.is_executable else 'not '}executable, other than in the template"
    return ""


def drift_in_merged(service: Service, rules: Mapping[str, FileRule]) -> list[Drift]:
    """What the next update would put back in merged files, as far as the rules know them."""
    entries = {path: entry for path, entry in service.manifest.items() if entry.owner == "merged" and path in rules}
    applied = service.applied()
    known = {path: entry for path, entry in entries.items() if path in applied and not entry.is_unmerged}
    damaged = service.damaged(applied)
    found = [
        Drift(path, f"cannot be merged: {damage(service.root, path, entry.sha256)}" if path in damaged else UNMERGED)
        for path, entry in entries.items()
        if path not in known
    ]
    remembered = render_from_memory(Service(service.root, service.answers, known, {}), rules)
    decisions = remembered.decisions if remembered else []
    return found + [Drift(one.path, sentence_of(one), one.key) for one in decisions if one.needs_person]


def sentence_of(decision: Decision) -> str:
    """What an update would decide, said before it has."""
    if decision.outcome is Outcome.RETURNED:
        return f"{decision.key} is missing".strip()
    if decision.outcome is Outcome.UNREADABLE:
        return f"cannot be merged: {decision.note}"
    if decision.outcome is not Outcome.HEALED:
        return decision.note or decision.sentence
    if decision.template is None:
        return f"{decision.key} = {shown(decision.yours)} is not in the template, which owns this place"
    yours, theirs = shown_apart(decision.yours, decision.template)
    return f"{decision.key} = {yours} is not as the template has it: {theirs}"
