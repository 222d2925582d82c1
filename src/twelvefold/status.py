"""Where a service stands, found out without a render."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from twelvefold import template as templates
from twelvefold import transaction
from twelvefold.decisions import Decision, Outcome
from twelvefold.errors import FailedError, RefusedError
from twelvefold.ownership import merged_files
from twelvefold.rollup import around, render_from_memory
from twelvefold.service import Service
from twelvefold.template import Template


@dataclass(frozen=True, slots=True)
class Status:
    """Where a service stands; `newest` is None, with a `note`, if nobody can say."""

    service: str
    version: str
    newest: str | None
    drift: list[Decision]
    is_outdated: bool
    was_interrupted: bool
    note: str = ""

    @property
    def is_in_step(self) -> bool:
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
            "drift": [{"path": one.path, "key": one.key, "sentence": one.sentence} for one in self.drift],
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
        for one in self.drift:
            yield "open", f"{one.path}: {one.sentence}"
        yield (
            "summary",
            "In step with the template." if self.is_in_step else "Not in step. To mend it: twelvefold rollup",
        )


def status_of(folder: Path, url: str | None) -> Status:
    """Find out where the service in `folder` stands. Raises RefusedError if there is none."""
    repository = around(folder)
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
    return Status(
        service=str(service.answers.get("project_slug") or service.root.name),
        version=version,
        newest=newest.ref if newest else None,
        drift=drift_of(service, newest),
        is_outdated=newest is not None and newest.content() != content and not is_older(newest.ref, version),
        was_interrupted=was_interrupted,
        note=note,
    )


def find_newest(url: str | None) -> tuple[Template | None, str]:
    """The newest release, or why there is none to compare with."""
    if not url:
        return None, "The memory does not say which template this is of."
    try:
        return templates.find(url, None), ""
    except (FailedError, RefusedError) as error:
        return None, f"The newest release is not known: {error.message}"


def is_older(ref: str, version: str) -> bool:
    """Whether the release is older than what the service has, as when it follows a branch."""
    theirs, mine = templates.version_of(ref), templates.version_of(version)
    return bool(theirs and mine and theirs < mine)


def drift_of(service: Service, newest: Template | None) -> list[Decision]:
    """What of the template's is not as it was rendered, in owned files and, by the newest rules, in merged ones."""
    found = [
        Decision(
            Outcome.HEALED if here else Outcome.RETURNED, path, note="it is not as it was rendered" if here else ""
        )
        for path, entry in service.manifest.items()
        if entry.owner == "owned"
        for here in [service.file(path)]
        if here is None or not entry.is_like(here)
    ]
    if newest is None:
        return found
    merged = {path: entry for path, entry in service.manifest.items() if entry.owner == "merged"}
    remembered = render_from_memory(Service(service.root, service.answers, merged, {}), merged_files(newest.rules()))
    return found + ([one for one in remembered.decisions if one.needs_person] if remembered else [])
