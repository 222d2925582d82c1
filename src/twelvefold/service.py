"""A service on disk: its memory, its repository, and what stands in its files."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from twelvefold.errors import FailedError, RefusedError
from twelvefold.git import GitError, git, known_files
from twelvefold.workspace import Places

MEMORY = Path(".twelvefold")
APPLIED = MEMORY / "applied"
ANSWERS = MEMORY / "answers.json"
MANIFEST = MEMORY / "manifest.json"
TEMPLATE = MEMORY / "template.json"
APPLICATION, OWN = "application", "own"  # of template.json: the service is spared the template's application
OWNERS = frozenset({"owned", "seeded", "merged"})
Answer = str | bool  # to one of the template's questions


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """What the memory knows of a rendered path: whose it is, its mode and the hash of its bytes."""

    owner: str
    mode: int
    sha256: str
    """Of what was rendered; of a merged file, which is what its last-applied copy says, "" if it was never merged."""
    is_unmerged: bool = False
    """Whether the last update had to leave a merged file as it was: `sha256` is that of an earlier render then."""

    def is_like(self, file: File) -> bool:
        """Whether the file is as it was rendered."""
        return file.is_executable == bool(self.mode & 0o100) and self.sha256 == file.sha256

    def as_data(self) -> dict[str, str | bool]:
        """As the manifest has it."""
        data: dict[str, str | bool] = {"owner": self.owner, "mode": f"{self.mode:o}", "sha256": self.sha256}
        return {**data, "unmerged": True} if self.is_unmerged else data


@dataclass(frozen=True, slots=True)
class File:
    """A file's bytes, and whether it can be executed, which is all of its mode that git keeps."""

    content: bytes
    is_executable: bool = False

    @property
    def sha256(self) -> str:
        """The hash of the bytes."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def mode(self) -> int:
        """The mode to write it with."""
        return 0o755 if self.is_executable else 0o644


@dataclass(frozen=True)
class Service:
    """A service: its folder, and what its memory says. Everything here is as found, nothing in it is trusted."""

    root: Path
    answers: Mapping[str, Answer] = field(default_factory=dict)
    manifest: Mapping[str, ManifestEntry] = field(default_factory=dict)
    stamp: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path) -> Service:
        """Read the memory of the service in `folder`. Raises RefusedError if there is none, or it is damaged."""
        root = folder.resolve()
        if not root.is_dir():
            raise RefusedError(f"{folder} is no folder.")
        if not (root / MEMORY).is_dir():
            if _has_memory(root):
                raise RefusedError(
                    f"{MEMORY}/ is in git, and not on the disk: the checkout is sparse, or it was deleted. Type in "
                    f"{folder}: git sparse-checkout add {MEMORY}; or: git checkout -- {MEMORY}"
                )
            raise RefusedError(
                f"{folder} has no {MEMORY}/, so no template made it. To begin: twelvefold adopt {folder}"
            )
        stamp = load(root, TEMPLATE)
        if not all(isinstance(value, str) for value in stamp.values()):
            raise RefusedError(f"{TEMPLATE} must hold texts only. Restore it: git checkout -- {TEMPLATE}")
        return cls(root, _answers(load(root, ANSWERS)), manifest_of(load(root, MANIFEST)), stamp)

    def file(self, path: str) -> File | None:
        """The file at `path`, None if there is none. Raises RefusedError if it is a link, or under one.

        One link is followed: to the vendor/ that services of one workspace share.
        """
        return read_file(self.places.base(path), path)

    @cached_property
    def places(self) -> Places:
        """Where its paths lie."""
        return Places.of(self.root)

    def refuse_another_update(self) -> None:
        """Raise RefusedError if the memory is not what it was when it was read.

        Files read since may then be older or newer than the memory: merged, they could lose what is newer.
        """
        now = Service.open(self.root) if (self.root / MEMORY).is_dir() else Service(self.root)
        if (now.manifest, now.stamp) != (self.manifest, self.stamp):
            raise RefusedError("Another update was made while this one was planned. Run the same command again.")

    @property
    def remembers_itself(self) -> bool:
        """Whether the memory is as a render wrote it."""
        entries = {path: entry.as_data() for path, entry in self.manifest.items()}
        return self.stamp.get("memory") == seal(self.answers, entries, self.stamp.get(APPLICATION, ""))

    @property
    def has_own_application(self) -> bool:
        """Whether it was adopted with an application of its own, so that it has none of the template's."""
        return self.stamp.get(APPLICATION) == OWN

    def applied(self) -> dict[str, bytes]:
        """Map each merged path to what the template said there the last time, as far as the manifest vouches for it."""
        merged = {path: entry for path, entry in self.manifest.items() if entry.owner == "merged"}
        copies = {path: self.file(str(APPLIED / path)) for path in merged}
        found = {path: _vouched(copy, merged[path].sha256) for path, copy in copies.items() if copy}
        return {path: content for path, content in found.items() if content is not None}

    def damaged(self, applied: Mapping[str, bytes]) -> list[str]:
        """The merged paths that are not in `applied`, though the manifest says that they were applied once."""
        merged = [path for path, entry in self.manifest.items() if entry.owner == "merged" and entry.sha256]
        return [path for path in merged if path not in applied]


def _vouched(copy: File, sha256: str) -> bytes | None:
    """The copy's bytes if they hash so, with the line ends that git has, which may check out others."""
    contents = (copy.content, copy.content.replace(b"\r\n", b"\n"))
    return next((content for content in contents if File(content).sha256 == sha256), None)


def seal(answers: Mapping[str, object], manifest: Mapping[str, object], application: str) -> str:
    """The hash that says whether somebody edited the memory; hooks/post_gen_project.py makes the same.

    `application` is `OWN` or "", which is all that the hook knows.
    """
    lines = [json.dumps(answers, sort_keys=True), json.dumps(manifest, sort_keys=True)]
    lines += [application] if application else []
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def hold_back(root: Path, applied: Mapping[str, str]) -> None:
    """Write into the memory in `root` that these merged files were left as they are: it does not advance for them.

    `applied` maps each path to the hash of what was applied to it the last time, "" if nothing was.
    """
    manifest, stamp = load(root, MANIFEST), load(root, TEMPLATE)
    held = {path: sha256 for path, sha256 in applied.items() if manifest[path]["sha256"] != sha256}
    if not held:
        return
    for path, sha256 in held.items():
        manifest[path] |= {"sha256": sha256, "unmerged": True}
    reseal(root, manifest, stamp)


def reseal(root: Path, manifest: Mapping[str, object], stamp: Mapping[str, object]) -> None:
    """Write the manifest and the stamp into the memory in `root`, sealed."""
    stamp = {**stamp, "memory": seal(load(root, ANSWERS), manifest, str(stamp.get(APPLICATION, "")))}
    for name, content in ((MANIFEST, manifest), (TEMPLATE, stamp)):
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (root / name).write_text(text, encoding="utf-8", newline="")


def _has_memory(root: Path) -> bool:
    return bool(Repository.found(root) and git(root, "ls-files", "--", str(MEMORY)))


def read_file(root: Path, path: str) -> File | None:
    """The file at `path` below `root`, None if there is none. Raises RefusedError if it is not a plain file there."""
    refuse_links(root, path)
    try:
        return opened(f"{root}/{path}")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise FailedError(f"{root / path} cannot be read: {error.strerror}.") from error


def opened(path: str) -> File:
    """The file at `path`, a text, because a rollup opens hundreds. Raises OSError."""
    with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
        return File(stream.read(), bool(os.fstat(stream.fileno()).st_mode & 0o100))


def refuse_links(root: Path, path: str) -> None:
    """Raise RefusedError if `path` is a symbolic link, or under one, so that writing there would follow it."""
    place = os.fspath(root)
    for part in path.split("/"):  # texts, because a rollup asks this of every file twice
        place = f"{place}/{part}"
        if os.path.islink(place):  # noqa: PTH114
            link = Path(place).relative_to(root)
            raise RefusedError(f"{link} is a symbolic link, which an update would follow. Put a copy there.")


def folders_above(path: str) -> Iterator[str]:
    """The folders in a service that `path` is in, the outermost first; texts, because it is asked of each file."""
    for slash in re.finditer("/", path):
        yield path[: slash.start()]


def load(root: Path, name: Path) -> dict[str, Any]:
    """What a file of the memory in `root` holds. Raises RefusedError if it is missing or is not a JSON object."""
    restore = f"Restore it: git checkout -- {name}"
    file = read_file(root, str(name))
    if file is None:
        raise RefusedError(f"{name} is missing. {restore}")
    try:
        content = json.loads(file.content)
    except (ValueError, RecursionError) as error:
        marks = (
            " It holds the conflict marks of a git merge: take either side, then update again."
            if b"<<<<<<<" in file.content
            else ""
        )
        raise RefusedError(f"{name} is not JSON ({error}).{marks or ' ' + restore}") from error
    if not isinstance(content, dict):
        raise RefusedError(f"{name} holds no JSON object. {restore}")
    return content


def _answers(content: Mapping[str, Any]) -> dict[str, Answer]:
    """Raises RefusedError if one is none."""
    for question, answer in content.items():
        refuse_no_answer(ANSWERS, question, answer)
        refuse_half_characters(question, answer)
    return dict(content)


def refuse_no_answer(path: Path, question: str, answer: object) -> None:
    """Raise RefusedError if the question is the template's own, or the answer in `path` none that a person can give."""
    if question.startswith("_"):
        raise RefusedError(f"{path} sets {question}, which is the template's. Remove that line.")
    if not isinstance(answer, (str, bool)):
        kind = {list: "a list", dict: "an object", type(None): "null"}.get(type(answer), repr(answer))
        raise RefusedError(f"{path}: {question} must be a text, true or false, not {kind}. Change that line.")


def refuse_half_characters(question: str, answer: Answer) -> None:
    """Raise RefusedError if the answer cannot be written as UTF-8."""
    try:
        str(answer).encode()
    except UnicodeEncodeError as error:
        raise RefusedError(
            f"{question} = {answer!r} is no Unicode text. Type it anew: --answer {question}=..."
        ) from error


def manifest_of(content: Mapping[str, Any]) -> dict[str, ManifestEntry]:
    """The manifest's entries by path. Raises RefusedError if one is damaged."""
    for path in content:
        refuse_outside(path)
    return {path: _entry(path, entry) for path, entry in content.items()}


def _entry(path: str, entry: Any) -> ManifestEntry:
    try:
        if entry["owner"] not in OWNERS or not isinstance(entry["sha256"], str):
            raise ValueError(entry)
        return ManifestEntry(entry["owner"], int(entry["mode"], 8), entry["sha256"], entry.get("unmerged") is True)
    except (TypeError, KeyError, ValueError) as error:
        raise RefusedError(f"{MANIFEST} is damaged at {path}. Restore it: git checkout -- {MANIFEST}") from error


def is_memory(path: str) -> bool:
    """Whether the path is the rollup's own."""
    return path.startswith(f"{MEMORY}/")


def refuse_outside(path: str) -> None:
    """Raise RefusedError if `path` leads out of a service, or into git's own folder."""
    parts = path.split("/")
    if (
        not path
        or path.startswith("/")
        or "\0" in path
        or {"", ".", ".."} & set(parts)
        or ".git" in map(str.lower, parts)
    ):
        raise RefusedError(f"{path!r} is no path in a service. Restore it: git checkout -- {MEMORY}")


class NoRepositoryError(RefusedError):
    """The service is in no git repository."""


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    """A line of a file such as .gitignore, and a path that git ignores for it."""

    path: str
    source: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Repository:
    """The git repository around a service, which may be below its top."""

    service: Path
    prefix: str  # the service's folder below the top of its repository, with a slash at the end, or ""
    state: Path  # where the journal of a rollup lies: in the git directory, apart for each service and worktree
    places: Places

    @classmethod
    def around(cls, service: Path) -> Repository:
        """Raises RefusedError if the service is in no repository with a commit."""
        try:
            answer = git(service, "rev-parse", "--show-prefix", "--path-format=absolute", "--git-path", "twelvefold")
        except GitError as error:
            if "not a git repository" not in error.message:
                raise RefusedError(f"git does not say what is in {service}. {error.message}") from error
            raise NoRepositoryError(
                f"{service} is in no git repository, without which an update could not be undone. Run there: "
                "git init && git add -A && git commit -m Begin"
            ) from error
        prefix, _, state = answer.partition("\n")
        return cls(service, prefix, Path(state) / _named_after(prefix), Places.of(service))

    @classmethod
    def found(cls, service: Path) -> Repository | None:
        """The same, or None if there is no repository; `Service.open` reports what else is missing better."""
        if not service.is_dir():
            return None
        try:
            return cls.around(service.resolve())
        except NoRepositoryError:
            return None

    @property
    def turn(self) -> Path:
        """The file whose lock keeps a second update out: one for all services that share a vendor/."""
        if not self.places.is_shared:
            return self.state.with_name(f"{self.state.name}.lock")
        place = posixpath.normpath(f"{self.prefix}{self.places.up}")
        return self.state.with_name(f"{_named_after('' if place == '.' else f'{place}/')}.lock")

    def named(self, path: str) -> str:
        """A path of the service from the top of the repository, as git calls it."""
        return posixpath.normpath(f"{self.prefix}{self.places.spelled(path)}")

    @staticmethod
    def files(folder: Path) -> list[str]:
        """The files below a folder that git has or would take; all but hidden ones if it is in no repository."""
        if Repository.found(folder):
            return known_files(folder)
        found = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if not path.is_dir())
        return [path.as_posix() for path in found if not any(part.startswith(".") for part in path.parts)]

    def changes(self) -> list[str]:
        """What git calls changed, or not known to it, below the service and in what it shares with its workspace."""
        return self._status()[1]

    def _status(self) -> tuple[str, list[str]]:
        options = ("--porcelain", "--branch", "--untracked-files=normal", "-z", "--no-renames")
        elsewhere = (f":(literal){path}" for path in self.places.elsewhere())
        branch, *listed = git(self.service, "status", *options, "--", ".", *elsewhere).split("\0")
        return branch, [entry[3:] for entry in listed if entry]

    def refuse_changes(self) -> None:
        """Raise RefusedError if there is anything that is not committed, or no commit at all."""
        branch, changes = self._status()
        if branch.startswith("## No commits yet"):
            raise RefusedError(
                "The repository has no commit yet, so that nothing could be undone: git add -A && git commit"
            )
        if changes:
            more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
            raise RefusedError(
                f"There are changes that are not committed ({changes[0]}{more}). Commit or stash them: git stash -u"
            )

    def ignored(self, paths: Iterable[str]) -> IgnoreRule | None:
        """The rule by which git ignores the first of those of `paths` that it does; None if it ignores none."""
        asked = {self.places.spelled(path): path for path in paths}
        names = "".join(f"{path}\0" for path in asked)
        try:
            said = git(self.service, "check-ignore", "-z", "--verbose", "--stdin", stdin=names).split("\0")
        except GitError:  # exit code 1: none
            return None
        found = zip(said[0::4], said[1::4], said[2::4], said[3::4], strict=False)
        rules = [IgnoreRule(asked[path], f"{source}:{line}", pattern) for source, line, pattern, path in found]
        return next((rule for rule in rules if not rule.pattern.startswith("!")), None)

    def tags(self, paths: Iterable[str]) -> dict[str, str]:
        """What `git ls-files -v` says of those of `paths` that git has, a letter each."""
        asked = {self.places.spelled(path): path for path in paths}
        listed = git(self.service, "ls-files", "-v", "-z", "--", *(f":(literal){path}" for path in asked)).split("\0")
        return {asked.get(entry[2:], entry[2:]): entry[0] for entry in listed if entry}


def _named_after(prefix: str) -> str:
    """What the journal of a service is called, which may lie below the top of its repository."""
    return hashlib.sha256(prefix.encode()).hexdigest()[:8] if prefix else "service"
