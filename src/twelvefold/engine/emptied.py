"""Folders that were the template's, in which nothing may be left: what lies there would hide the template's own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from twelvefold.decisions import Decision, Outcome
from twelvefold.engine.bases import commit_with, is_shallow
from twelvefold.errors import RefusedError
from twelvefold.git import blob, git
from twelvefold.service import MANIFEST, File, ManifestEntry, Repository, Service, manifest_of
from twelvefold.workspace import VENDOR, home_of

# Where the chassis lay before it lay in vendor/. Beside one in vendor/, which is imported depends on names.
FORMER_CHASSIS = "src/chassis"
OURS = "twelvefold-"  # what a distribution in vendor/ is called, before the name of its folder


@dataclass(frozen=True, slots=True)
class Emptied:
    """Such folders of one service: each with the folder for the team's own files in it, and those files."""

    folders: Mapping[str, str]
    own: Mapping[str, str]
    """The team's own files there: path → the one that it goes to."""

    @classmethod
    def of(cls, service: Service, folders: Mapping[str, str], rendered: Iterable[str]) -> Emptied:
        """Look at those of `folders` that the last update left something in; in others all is the team's.

        Raises RefusedError if a file of the team's own has no place to go to.
        """
        there = {old: new for old, new in folders.items() if any(_is_in(path, old) for path in service.manifest)}
        files = Repository.files(service.root) if there else []
        own = {
            path: f"{new}{path.removeprefix(old)}"
            for old, new in there.items()
            for path in files
            if _is_in(path, old) and path not in service.manifest
        }
        _refuse_immovable(service, own, {*rendered})
        return cls(there, own)

    def has(self, path: str) -> bool:
        """Whether a path lies in one of the folders, or in vendor/, where half a distribution is of no use."""
        return any(_is_in(path, folder) for folder in (VENDOR, *self.folders))


def refuse_second_chassis(service: Service, rendered: Iterable[str]) -> None:
    """Raise RefusedError if the service has a chassis where the template has none, and no update left it there."""
    old = f"{FORMER_CHASSIS}/__init__.py"
    known = any(_is_in(path, FORMER_CHASSIS) for path in service.manifest)
    if (service.root / old).is_file() and not known and old not in rendered:
        raise RefusedError(
            f"{FORMER_CHASSIS} is a package of the name that the template's has in vendor/; which of them is imported "
            f"would depend on names. If it is the template's, from before 0.2.0: git rm -r {FORMER_CHASSIS}. If it is "
            "yours, give it another name."
        )


def refuse_leaving_a_chassis(root: Path, rendered: Path) -> None:
    """Raise RefusedError if scaraplate would leave a chassis beside the one in `rendered`."""
    old = f"{FORMER_CHASSIS}/__init__.py"
    if (root / old).is_file() and not (rendered / old).is_file():
        raise RefusedError(
            f"The template has its chassis in vendor/ now, and scaraplate would leave {FORMER_CHASSIS} beside it; "
            "which is imported would depend on names. Run for this one step: twelvefold rollup"
        )


def leftovers(service: Service, rendered: Iterable[str]) -> dict[str, ManifestEntry]:
    """What was the template's in folders of vendor/ that no manifest names now: plain scaraplate retires nothing.

    Each with its entry in the manifest that named it last. A folder that no manifest ever named is the team's.
    """
    then: dict[str, ManifestEntry] = {}
    for home in _unnamed(service, rendered):
        then |= _named_last(service, home)
    return {path: entry for path, entry in then.items() if service.file(path) is not None}


def unknown_leftovers(service: Service, rendered: Iterable[str]) -> Iterator[Decision]:
    """A decision for each folder of vendor/ of which git has too little history to say whether it is the template's."""
    for home in _unnamed(service, rendered):
        project = service.file(f"{home}/pyproject.toml")
        is_named_so = project and f'"{OURS}{Path(home).name}"'.encode() in project.content
        if is_named_so and is_shallow(service.root) and not _named_last(service, home):
            note = (
                "it is named as the template's is, no manifest names it, and git has too little history here "
                "to say whose it is. Fetch the rest, and update again: git fetch --unshallow"
            )
            yield Decision(Outcome.UNREADABLE, home, note=note)


def _unnamed(service: Service, rendered: Iterable[str]) -> list[str]:
    # The folders of vendor/ that no manifest names.
    named = {home_of(path) for path in (*rendered, *service.manifest)}
    there = (f"{VENDOR}/{path.name}" for path in (service.root / VENDOR).glob("*/"))
    return sorted({*there} - named)


def _named_last(service: Service, home: str) -> dict[str, ManifestEntry]:
    root, place = service.root, service.places.spelled(home)
    # What changed how often the folder is named, at last: that took it out. What came since is the team's own.
    looked_for = ("-1", "--format=%H", f"-S{json.dumps(home)[:-1]}/", "--", f":(literal){MANIFEST}")
    commit = git(root, "log", *looked_for)
    manifest = blob(root, f"{commit}~:./{MANIFEST}") if commit else None
    if manifest is None or git(root, "log", "-1", "--format=%H", "--diff-filter=A", f"{commit}..", "--", place):
        return {}
    entries = manifest_of(json.loads(manifest))
    return {path: entry for path, entry in entries.items() if home_of(path) == home}


def as_rendered(service: Service, path: str, entry: ManifestEntry) -> File | None:
    """A file as the template had it, None if git does not have that.

    What lies in the vendor/ of a workspace may have lain in the service's own before.
    """
    for place in dict.fromkeys((service.places.spelled(path), path)):
        commit = commit_with(service.root, place, entry.sha256)
        content = blob(service.root, f"{commit}:./{place}") if commit else None
        if content is not None:
            return File(content, bool(entry.mode & 0o100))
    return None


def rehoming(old: str, new: str) -> Decision:
    """The decision to move a file of the team's own."""
    note = f"moved, since it is yours, to {new}: {Path(old).parent} is there no more"
    return Decision(Outcome.REHOMED, old, note=f"{note}. Look at what it imports, and at what imports it")


def _refuse_immovable(service: Service, own: Mapping[str, str], rendered: set[str]) -> None:
    for old, new in own.items():
        if service.file(old) is None:
            raise RefusedError(
                f"{old} is no file, such as a submodule, and the template has no such folder any more. Move it "
                f"elsewhere and commit: git mv {old} ..."
            )
        if new in rendered or service.file(new) is not None or [*own.values()].count(new) > 1:
            raise RefusedError(
                f"{old} is yours, and the template has no such folder any more; its new place {new} is taken. Move it "
                f"elsewhere and commit: git mv {old} ..."
            )


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/")
