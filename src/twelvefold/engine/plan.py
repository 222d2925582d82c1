"""What a rollup would do to a service: decided in memory, before anything is written."""

from __future__ import annotations

import ast
import difflib
import json
import re
import shlex
import tomllib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import PurePosixPath

from twelvefold.decisions import Decision, Outcome
from twelvefold.engine.emptied import (
    Emptied,
    as_rendered,
    leftovers,
    refuse_second_chassis,
    rehoming,
    unknown_leftovers,
)
from twelvefold.engine.hidden import refuse_hidden
from twelvefold.engine.imports_gone import broken_imports, dropped, imports_of, unrequired_imports
from twelvefold.engine.members import Members
from twelvefold.engine.transaction import Change, is_open
from twelvefold.errors import FailedError, RefusedError
from twelvefold.pyproject import PROJECT
from twelvefold.service import (
    ANSWERS,
    APPLIED,
    MANIFEST,
    TEMPLATE,
    File,
    ManifestEntry,
    Repository,
    Service,
    folders_above,
)
from twelvefold.workspace import VENDOR, home_of

READERS: Mapping[str, Callable[[str], object]] = {".toml": tomllib.loads, ".json": json.loads, ".py": ast.parse}


@dataclass(frozen=True, slots=True)
class Render:
    """What the template makes of the service: its files by path, its memory, the decisions of the merges."""

    files: Mapping[str, File]
    service: Service
    decisions: list[Decision]
    left_out: list[str] = field(default_factory=list)
    """What the template has, and the service not, as patterns and keys: see `twelvefold.engine.application`."""


@dataclass(slots=True)
class Plan:
    """The changes to make, and what somebody should know of them."""

    changes: list[Change] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    """Paths that the template renders no longer, and that are not there any more."""
    members: Members | None = None
    """The other services of the workspace, as they were."""

    @property
    def is_empty(self) -> bool:
        """Whether the service is as the template wants it."""
        return not self.changes

    def refuse_update_of_another(self, service: Service) -> None:
        """Raise RefusedError if another service of the workspace may need something else in vendor/ now."""
        if self.members and self.members != Members.of(service):
            raise RefusedError(
                "Another service of the workspace was updated while this update was planned. Run the same command "
                "again."
            )

    def acknowledge(self) -> None:
        """Note that the user knows that edits in what the template owns are healed."""
        healed = {Outcome.HEALED, Outcome.REMOVED, Outcome.RETURNED}
        self.decisions = [replace(one, is_acknowledged=one.outcome in healed) for one in self.decisions]


def plan(service: Service, render: Render, moved: Mapping[str, str], folders: Mapping[str, str]) -> Plan:
    """Compare the service with the render.

    `moved` maps old paths to new ones, `folders` those that must be empty to the ones for a team's own files in them.
    Raises RefusedError if something that is not the template's stands in the way.
    """
    refuse_second_chassis(service, render.service.manifest)
    members = Members.of(service)
    refuse_interrupted(members)
    planning = _Planning(service, render, moved, Emptied.of(service, folders, render.service.manifest), members)
    planning.decisions = list(render.decisions)
    planning.rendered()
    planning.retired()
    planning.rehomed()
    planning.broken()
    planning.left_over()
    planning.memory()
    planning.others()
    decisions = sorted(planning.decisions, key=lambda one: (one.path, one.key))
    return Plan(planning.changes(), decisions, gone=planning.gone, members=members)


def followed(moved: Mapping[str, str], service: Service) -> dict[str, str]:
    """Those of `moved`, old path → new one, that the service can follow: nothing stands at the new place."""
    return {
        old: new
        for old, new in moved.items()
        if old in service.manifest and new not in service.manifest and service.file(new) is None
    }


class _Planning:
    def __init__(
        self, service: Service, render: Render, moved: Mapping[str, str], emptied: Emptied, members: Members
    ) -> None:
        self.service = service
        self.render = render
        self.emptied = emptied
        self.members = members
        self.homes = {home_of(path) for path in render.service.manifest}
        self.came_from = {
            new: old
            for old, new in followed(moved, service).items()
            if old not in render.service.manifest and new in render.service.manifest
        }
        self.file = cache(service.file)
        self.after: dict[str, File | None] = {}
        self.decisions: list[Decision] = []
        self.gone: list[str] = []

    def rendered(self) -> None:
        by_owner = {"owned": self.owned, "seeded": self.seeded, "merged": self.merged}
        for path, entry in self.render.service.manifest.items():
            by_owner[entry.owner](path)

    def owned(self, path: str) -> None:
        new = self.render.files[path]
        self.after[path] = new
        source = self.came_from.get(path, path)
        here, was = self.file(source), self.service.manifest.get(source)
        if (was is None and (here is None or here == new)) or self.members.left_so(source, here):
            return
        if here is None:
            self.decide(Outcome.RETURNED, path, None, new)
        elif was is None:
            self.decide(Outcome.HEALED, path, here, new, "replaced yours: the template has a file of this name now")
        elif here != new and not was.is_like(here):
            note = f"put back as the template has it; yours was {source}" if source != path else ""
            self.decide(Outcome.HEALED, path, here, new, note)

    def seeded(self, path: str) -> None:
        source = self.came_from.get(path)
        if self.file(path) is None and source:
            self.after[path] = self.file(source)
        elif self.file(path) is None and path not in self.service.manifest:
            self.after[path] = self.render.files[path]

    def merged(self, path: str) -> None:
        new = self.render.files.get(path)
        source = self.came_from.get(path, path)
        here, was = self.file(source), self.service.manifest.get(source)
        if new and here and was and here.is_executable != bool(was.mode & 0o100):
            new = File(new.content, here.is_executable)
        self.after[path] = new

    def retired(self) -> None:
        moved = {old: new for new, old in self.came_from.items()}
        for path, entry in self.service.manifest.items():
            if path in self.render.service.manifest or self.is_needed(path):
                continue
            if here := self.file(path):
                self.retire(path, entry, here, moved.get(path))
            else:
                self.gone.append(path)

    def is_needed(self, path: str) -> bool:
        """Whether the template has no such distribution any more for this service, and another needs it."""
        return self.members.need(path) and home_of(path) not in self.homes

    def rehomed(self) -> None:
        for old, new in self.emptied.own.items():
            self.after |= {old: None, new: self.file(old)}
            self.decisions.append(rehoming(old, new))

    def broken(self) -> None:
        gone = [path for path in self.service.manifest if self.emptied.has(path) and path in self.after]
        lost = dropped(self.file(PROJECT), self.after.get(PROJECT))
        mine = imports_of(self.python_of_the_team()) if self.emptied.folders or lost else {}
        self.decisions += broken_imports(mine, gone, self.render.service.manifest)
        self.decisions += unrequired_imports(mine, lost, imports_of(self.python_seeded()) if lost else {})

    def python_of_the_team(self) -> dict[str, File]:
        owned = {path for path, entry in self.service.manifest.items() if entry.owner != "seeded"}
        names = [path for path in Repository.files(self.service.root) if path.endswith(".py") and path not in owned]
        files = [path for path in names if not (self.service.root / path).is_symlink()]
        return {path: file for path in files if (file := self.file(path)) and self.after.get(path, file)}

    def python_seeded(self) -> dict[str, File]:
        entries = self.render.service.manifest.items()
        seeded = [path for path, entry in entries if entry.owner == "seeded" and path.endswith(".py")]
        return {path: self.render.files[path] for path in seeded if path in self.render.files}

    def left_over(self) -> None:
        for path, entry in leftovers(self.service, self.render.service.manifest).items():
            here = self.file(path)
            if self.members.need(path):
                continue
            if here and entry.is_like(here):
                self.after[path] = None
            elif here:
                self.remove(path, entry, here)
        unknown = unknown_leftovers(self.service, self.render.service.manifest)
        self.decisions += [one for one in unknown if not self.members.need(f"{one.path}/{PROJECT}")]

    def remove(self, path: str, entry: ManifestEntry, here: File) -> None:
        self.after[path] = None
        base = as_rendered(self.service, path, entry)
        edits = patch(path, base, here) if base else patch(path, here, None)
        note = "removed, with your edits (the report has them): the template has this folder no more"
        self.decisions.append(Decision(Outcome.REMOVED, path, note=note, patch=edits))

    def retire(self, path: str, entry: ManifestEntry, here: File, new: str | None) -> None:
        if new and not entry.is_like(here) and self.render.service.manifest[new].owner != "owned":
            self.decisions.append(Decision(Outcome.MOVED, path, note=f"moved, with your edits, to {new}"))
        if new or entry.is_like(here) or self.members.left_so(path, here):
            self.after[path] = None
        elif self.emptied.has(path):
            self.remove(path, entry, here)
        elif entry.owner == "seeded":
            self.decisions.append(Decision(Outcome.KEPT, path, note="the template has this file no more; it is yours"))
        else:
            self.decisions.append(Decision(Outcome.RETIRED, path))

    def memory(self) -> None:
        for name in (ANSWERS, MANIFEST, TEMPLATE):
            self.after[str(name)] = self.render.files[str(name)]
        copies = {str(APPLIED / path) for path, entry in self.service.manifest.items() if entry.owner == "merged"}
        self.after |= dict.fromkeys(copies)
        for path, entry in self.render.service.manifest.items():
            if entry.owner == "merged":
                self.after[str(APPLIED / path)] = self.render.files.get(str(APPLIED / path)) if entry.sha256 else None

    def others(self) -> None:
        """What the other services of the workspace make of it."""
        manifest = self.render.service.manifest
        self.decisions += self.members.unshared(manifest)
        self.decisions += self.members.out_of_step(manifest, lambda path: self.after.get(path, self.file(path)))

    def decide(self, outcome: Outcome, path: str, here: File | None, new: File, note: str = "") -> None:
        if here and here.content == new.content:
            note = f"put back as the template has it; made {'' if new.is_executable else 'not '}executable"
        self.decisions.append(Decision(outcome, path, note=note, patch=patch(path, here, new) if here else ""))

    def changes(self) -> list[Change]:
        found = [Change(path, self.file(path), after) for path, after in sorted(self.after.items())]
        changes = [change for change in found if change.before != change.after]
        gone = {change.path for change in changes if change.after is None}
        for change in changes:
            if change.after:
                self.refuse_obstacles(change.path, gone)
        return changes

    def refuse_obstacles(self, path: str, gone: Collection[str]) -> None:
        places = self.service.places
        root = places.base(path)
        for folder in folders_above(path):
            if folder not in gone and (root / folder).is_file():
                raise RefusedError(
                    f"{folder} is a file, and a folder in the template. Move it away: git mv {folder} ..."
                )
            if (root / folder / ".git").exists():
                raise RefusedError(
                    f"{folder} is a repository of its own, such as a submodule, and the template has {path}. "
                    f"Move it away: git mv {places.spelled(folder)} ..."
                )
        for inside in (root / path).rglob("*") if (root / path).is_dir() else ():
            name = inside.relative_to(root).as_posix()
            is_folder = inside.is_dir() and not inside.is_symlink()
            if name not in gone and not (is_folder and any(inside.iterdir())):
                raise RefusedError(
                    f"{path} is a folder, and a file in the template. Move what is yours in it away, as {name}: "
                    f"git mv {places.spelled(name)} ..."
                )


def refuse_interrupted(members: Members) -> None:
    """Raise RefusedError if an update of another service has written a part of the vendor/ that they share."""
    if names := interrupted(members):
        raise RefusedError(
            f"An update of {names[0]}, which shares this {VENDOR}/, goes on or was interrupted. Wait for it, or finish "
            f"it: twelvefold rollup {shlex.quote(str(members.root / names[0]))}"
        )


def interrupted(members: Members) -> list[str]:
    """The other services with this vendor/ that have an update that has begun, and has not ended."""
    folders = {one.name: members.root / one.name for one in members.sharing}
    return [name for name, folder in folders.items() if folder.is_dir() and is_open(Repository.around(folder).state)]


def refuse_what_git_lacks(plan: Plan, repository: Repository) -> None:
    """Raise RefusedError if a change takes away bytes that git could not give back, or that git would not see."""
    # What is not on the disk may be in git all the same, and would stay there with nobody who owns it.
    written = [change.path for change in plan.changes]
    looked_for = written + plan.gone if written else []
    tags = repository.tags(looked_for) if looked_for else {}
    refuse_hidden(repository, looked_for, tags)
    refuse_ignored(repository, [change.path for change in plan.changes if change.after and change.path not in tags])
    unknown = [change.path for change in plan.changes if change.before and change.path not in tags]
    if unknown:
        raise RefusedError(
            f"{unknown[0]} is not in git, and would be replaced or moved: it would be lost. "
            f"Commit it (git add -f {unknown[0]}) or move it away."
        )


def refuse_ignored(repository: Repository, new: Collection[str]) -> None:
    """Raise RefusedError if git would not take a file of the chassis: a commit would be without it."""
    vendored = [path for path in new if path.startswith(f"{VENDOR}/")]
    if vendored and (rule := repository.ignored(vendored)):
        raise RefusedError(
            f"git ignores {rule.path}, as {rule.source} says ({rule.pattern}): the service would be committed without "
            "its chassis. Take that line out, or add this one below it, or to .gitignore: !/vendor/"
        )


def refuse_broken(changes: Iterable[Change]) -> None:
    """Raise FailedError if a file that would be written does not parse, whatever the reason."""
    for change in changes:
        problem = change.after and broken(PurePosixPath(change.path).suffix, change.after.content)
        if problem:
            raise FailedError(f"{change.path} would not parse ({problem}); nothing was changed.")


@lru_cache(maxsize=512)
def broken(suffix: str, content: bytes) -> str:
    """Why a file does not parse, "" if it does: the template's own is the same in every service of a fleet."""
    if suffix not in READERS:
        return ""
    try:
        READERS[suffix](content.decode("utf-8-sig"))
    except (ValueError, SyntaxError) as error:
        return str(error)
    return ""


def patch(path: str, before: File | None, after: File | None) -> str:
    """The change as a unified diff; one line for what is not text."""
    contents = [file.content if file else b"" for file in (before, after)]
    names = f"a/{path}" if before else "/dev/null", f"b/{path}" if after else "/dev/null"
    if any(b"\0" in content for content in contents):
        return f"Binary files {names[0]} and {names[1]} differ\n"
    old, new = map(_shown, contents)
    lines = difflib.unified_diff(old, new, *names)
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _shown(content: bytes) -> list[str]:
    """Lines for people to read; of what is not UTF-8, each byte as a character of Latin-1."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return re.findall(r"[^\n]*\n|[^\n]+", text)
