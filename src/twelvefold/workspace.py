"""A service in a workspace of uv's: which of its paths lie at the workspace's root.

uv keeps one lock there, and takes no two members that each have a vendor/ of their own: they share one at the root, and
`vendor` in a service is a symbolic link to it. See https://docs.astral.sh/uv/concepts/projects/workspaces/
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from twelvefold.errors import RefusedError
from twelvefold.pyproject import PROJECT, Table, parsed, table

VENDOR, LOCK = "vendor", "uv.lock"


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder whose pyproject.toml has `[tool.uv.workspace]`, and the patterns of that table."""

    root: Path
    members: tuple[str, ...]
    exclude: tuple[str, ...] = ()

    @classmethod
    def at(cls, root: Path) -> Workspace | None:
        """The workspace whose root this is; None if there is no such table, or none that can be read."""
        said = _table(root / PROJECT)
        members, exclude = (said.get(name, []) for name in ("members", "exclude"))
        is_readable = isinstance(members, list) and isinstance(exclude, list) and "members" in said
        return cls(root, tuple(map(str, members)), tuple(map(str, exclude))) if is_readable else None

    @classmethod
    def around(cls, folder: Path) -> Workspace | None:
        """The one above `folder`, in the same work tree of git, that has it as a member.

        As uv does, it looks into the nearest pyproject.toml above alone.
        """
        root = next((above for above in _above(folder) if (above / PROJECT).is_file()), None)
        workspace = cls.at(root) if root else None
        return workspace if workspace and workspace.has(folder) else None

    def has(self, folder: Path) -> bool:
        """Whether a folder below the root is a member."""
        path = folder.relative_to(self.root)
        is_out = any(_fits(path.parts, _parts(one)) or fnmatchcase(str(path), one) for one in self.exclude)
        return not is_out and any(_fits(path.parts, _parts(one)) for one in self.members)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the paths of a service lie: below its folder, or below the root of its workspace."""

    root: Path
    workspace: Path | None = None
    """The root of the workspace that the service is a member of."""
    is_shared: bool = False
    """Whether vendor/ is the workspace's."""
    problem: str = ""
    """What is wrong with a symbolic link that stands for vendor/ and that is not followed."""

    @classmethod
    def of(cls, root: Path) -> Places:
        """Look at the service in `root`."""
        real = root.resolve()
        around = Workspace.around(real)
        workspace = around.root if around else None
        if not (root / VENDOR).is_symlink():
            return cls(root, workspace)
        problem = _problem(real, workspace)
        return cls(root, workspace, is_shared=not problem, problem=problem)

    @property
    def up(self) -> str:
        """The way from the service to its workspace, such as `../../`; "" if it is in none."""
        return f"{os.path.relpath(self.workspace, self.root.resolve())}/" if self.workspace else ""

    def base(self, path: str) -> Path:
        """The folder that a path of the service lies below. Raises RefusedError if that is beyond another link."""
        if path.startswith(f"{VENDOR}/"):
            if self.problem:
                raise RefusedError(self.problem)
            return self.workspace if self.workspace and self.is_shared else self.root
        return self.workspace if self.workspace and path == LOCK else self.root

    def at(self, path: str) -> Path:
        """Where a path of the service lies."""
        return self.base(path) / path

    def spelled(self, path: str) -> str:
        """The path for a command that runs in the service's folder; git follows no link: `../../vendor/README.md`."""
        return path if self.base(path) == self.root else f"{self.up}{path}"

    def elsewhere(self) -> list[str]:
        """What lies at the root of the workspace, as `spelled` has it."""
        shared = [VENDOR] if self.is_shared else []
        return [f"{self.up}{path}" for path in (*shared, LOCK)] if self.workspace else []


def home_of(path: str) -> str:
    """The folder of vendor/ that a path lies in, such as vendor/chassis; something else for other paths."""
    return "/".join(path.split("/")[:2])


def refuse_shared_vendor(root: Path, paths: Iterable[str]) -> None:
    """Raise RefusedError if scaraplate would write those of `paths` that lie in vendor/ through a link."""
    if (root / VENDOR).is_symlink() and any(path.startswith(f"{VENDOR}/") for path in paths):
        raise RefusedError(
            Places.of(root).problem
            or f"{VENDOR} is a symbolic link to that of the workspace, and scaraplate does not know what others need "
            "there. Run: twelvefold rollup"
        )


def _problem(root: Path, workspace: Path | None) -> str:
    """Why the link that vendor/ is, is not followed; "" if it is."""
    begin = f"{VENDOR} is a symbolic link, which an update would follow"
    if workspace is None:
        return (
            f"{begin}. Put a copy there. Only services of one workspace share a {VENDOR}/, and the next {PROJECT} "
            "above, in this repository, does not have this one among the members of [tool.uv.workspace]."
        )
    there = workspace / VENDOR
    if there.is_symlink() or not there.is_dir():
        return f"{begin}, and {there} is no folder. Put a copy there."
    wanted = os.path.relpath(there, root)
    link = os.readlink(root / VENDOR)  # noqa: PTH115 - as it stands there
    is_right = not link.startswith("/") and posixpath.normpath(link) == wanted and (root / VENDOR).resolve() == there
    return "" if is_right else f"{begin}, and it does not lead to {wanted}. Type: ln -sfn {wanted} {root / VENDOR}"


def _above(folder: Path) -> Sequence[Path]:
    """The folders above one, up to the top of its work tree; none if it is in no repository, or at the top of one."""
    above: list[Path] = []
    for place in (folder, *folder.parents):
        above.append(place)
        if os.path.lexists(place / ".git"):
            return above[1:]
    return []


def _table(project: Path) -> Table:
    try:
        content = project.read_bytes()
    except OSError:
        return {}
    # To parse costs more than all else here, and every rollup asks.
    return table(parsed(content), "tool", "uv", "workspace") if b"workspace" in content else {}


def _parts(pattern: str) -> tuple[str, ...]:
    return tuple(part for part in posixpath.normpath(pattern).split("/") if part != ".")


def _fits(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether a path fits a pattern as of the shell, in which `**` is any number of folders."""
    if not pattern or not parts:
        return not parts and all(one == "**" for one in pattern)
    if pattern[0] == "**":
        return _fits(parts, pattern[1:]) or _fits(parts[1:], pattern)
    return fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
