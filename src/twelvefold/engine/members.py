"""The other services of a workspace: what they need in the vendor/ that all share, and whether it fits them."""

from __future__ import annotations

import json
import os
import posixpath
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from twelvefold.decisions import Decision, Outcome
from twelvefold.errors import RefusedError
from twelvefold.git import GitError, blob, git, known_files
from twelvefold.service import MANIFEST, File, ManifestEntry, Service, manifest_of
from twelvefold.workspace import VENDOR, Places, Workspace, home_of

Entries = Mapping[str, ManifestEntry]


@dataclass(frozen=True, slots=True)
class Member:
    """A service of a workspace."""

    name: str
    """Its folder, from the workspace's root; `.` for the root."""
    entries: Entries
    """What its manifest has of vendor/."""
    is_sharing: bool
    """Whether its vendor/ is that of the workspace."""

    def is_left_so(self, path: str, file: File | None) -> bool:
        """Whether a file of vendor/ is as its last update left it."""
        entry = self.entries.get(path)
        if file and entry:
            return entry.is_like(file)
        return file is None and entry is None and home_of(path) in {home_of(one) for one in self.entries}


@dataclass(frozen=True)
class Members:
    """A service of a workspace, and the others there; none if it is in no workspace."""

    root: Path
    """The workspace's."""
    mine: str = "."
    others: Sequence[Member] = ()
    is_sharing: bool = False

    @classmethod
    def of(cls, service: Service) -> Members:
        """Look around a service. Raises RefusedError if the memory of another is damaged: what it needs is unknown."""
        folder = service.root
        root = None if service.places.is_shared else Workspace.at(folder)
        workspace = root or Workspace.around(folder)
        if workspace is None:
            return cls(folder)
        mine = posixpath.normpath(os.path.relpath(folder, workspace.root))
        names = [name for name in _services(workspace) if name != mine]
        others = [_member(workspace, name) for name in names]
        return cls(workspace.root, mine, others, is_sharing=service.places.is_shared or mine == ".")

    @cached_property
    def sharing(self) -> list[Member]:
        """The others whose vendor/ is this service's, too."""
        return [one for one in self.others if one.is_sharing and one.entries] if self.is_sharing else []

    @cached_property
    def _needed(self) -> set[str]:
        return {home_of(path) for one in self.sharing for path in one.entries}

    def need(self, path: str) -> bool:
        """Whether another service needs the distribution that a path of vendor/ belongs to."""
        return home_of(path) in self._needed

    def left_so(self, path: str, file: File | None) -> list[str]:
        """The other services whose update left the file, or None, at a path of vendor/; it is nobody's edit then."""
        return [one.name for one in self.sharing if one.is_left_so(path, file)]

    def out_of_step(self, mine: Entries, file: Callable[[str], File | None]) -> list[Decision]:
        """A decision for each other service that what lies in vendor/ does not fit.

        :param mine: what this service's manifest has: an edit of what both have is no other version.
        :param file: returns the file at a path, None if there is none.
        """
        return [
            Decision(Outcome.OUT_OF_STEP, one.name, note=_to_follow(one.name))
            for one in self.sharing
            if any(
                mine.get(path) != entry and not ((here := file(path)) and entry.is_like(here))
                for path, entry in one.entries.items()
            )
        ]

    def unshared(self, mine: Entries) -> list[Decision]:
        """A decision, with what to type, if this service and others of the workspace have a vendor/ each.

        :param mine: what this service's manifest has.
        """
        me = Member(self.mine, _of_vendor(mine), self.is_sharing)
        together = [one for one in (me, *self.others) if one.entries]
        apart = [one for one in together if not one.is_sharing]
        if not (me.entries and apart and self.others and together != [me]):
            return []
        names = [one.name for one in together]
        what = (
            f"{', '.join(names[:-1])} and {names[-1]} are services of one workspace, in which uv takes one {VENDOR}/ "
            "alone. Let them share it"
        )
        return [Decision(Outcome.UNSHARED, VENDOR, note=f"{what}: {_to_share(self.root, apart)}")]


def _to_follow(name: str) -> str:
    command = shlex.join(["twelvefold", "rollup", name])
    return f"the {VENDOR}/ that it shares is of another version than its memory. At the workspace's root: {command}"


def _to_share(root: Path, apart: Sequence[Member]) -> str:
    """What to type so that the services `apart`, which have a vendor/ of their own, share that of the workspace."""
    is_there = (root / VENDOR).exists()
    has = {path.name for path in (root / VENDOR).iterdir()} if is_there else set()
    commands: list[str] = []
    for one in apart:
        own = f"{one.name}/{VENDOR}"
        found = _tracked(root, own)
        taken = sorted(has & found - {home_of(path).removeprefix(f"{VENDOR}/") for path in one.entries})
        if taken:
            return f"{own}/{taken[0]} is not the template's, and another has that name. Give it another one first"
        commands += _joining(one.name, sorted(found - has)) if is_there else [shlex.join(["git", "mv", own, VENDOR])]
        commands.append(shlex.join(["ln", "-s", os.path.relpath(VENDOR, one.name), own]))
        has, is_there = has | found, True
    return f"at the workspace's root, type this, and commit: {' && '.join(commands)}"


def _joining(name: str, new: Sequence[str]) -> list[str]:
    """The commands that move what is new in a service's vendor/ to that of the workspace, and remove the rest."""
    own = f"{name}/{VENDOR}"
    moved = [shlex.join(["git", "mv", *(f"{own}/{one}" for one in new), f"{VENDOR}/"])] if new else []
    # What tools left there, such as bytecode, would keep the folder, and the link would be put into it.
    return [*moved, shlex.join(["git", "rm", "-rq", "--ignore-unmatch", own]), shlex.join(["rm", "-rf", own])]


def _tracked(root: Path, folder: str) -> set[str]:
    """The names in a folder that git has something of."""
    listed = git(root, "ls-files", "-z", "--", f":(literal){folder}").split("\0")
    return {path.removeprefix(f"{folder}/").split("/")[0] for path in listed if path}


def _services(workspace: Workspace) -> list[str]:
    """The folders of all services in the workspace: those that git has or would take, on the disk or not."""
    try:
        listed = known_files(workspace.root, f":(glob)**/{MANIFEST}")
    except GitError:  # it is in no repository
        return []
    names = [posixpath.normpath(path.removesuffix(str(MANIFEST))) for path in listed]
    return sorted(name for name in names if name == "." or workspace.has(workspace.root / name))


def _member(workspace: Workspace, name: str) -> Member:
    manifest = posixpath.normpath(f"{name}/{MANIFEST}")
    try:
        content = json.loads(_content(workspace.root, manifest))
        entries = manifest_of(content)
    except (ValueError, AttributeError, TypeError, RecursionError, RefusedError) as error:
        raise RefusedError(
            f"What {name} needs in {VENDOR}/ is not known: {manifest} cannot be read. Restore it in {workspace.root}: "
            f"git checkout -- {shlex.quote(manifest)}"
        ) from error
    return Member(name, _of_vendor(entries), name == "." or _is_link(workspace.root, name))


def _of_vendor(entries: Entries) -> Entries:
    return {path: entry for path, entry in entries.items() if path.startswith(f"{VENDOR}/")}


def _content(root: Path, path: str) -> bytes:
    try:
        return (root / path).read_bytes()
    except OSError:  # outside of the sparse checkout
        return blob(root, f":./{path}") or b""


def _is_link(root: Path, name: str) -> bool:
    """Whether the vendor/ of a member is a link to that of the workspace."""
    if (root / name).is_dir():
        places = Places.of(root / name)
        return places.is_shared and places.workspace == root
    link = blob(root, f":./{name}/{VENDOR}")
    return link is not None and link.decode(errors="replace") == os.path.relpath(VENDOR, name)
