"""Two services of one workspace of uv's in one repository, which share its vendor/."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conftest import commit, git
from histories import FILES, History, twelvefold
from rendered import render
from trees import tree

VENDORED = {
    "vendor/README.md": "The chassis.\n",
    "vendor/chassis/src/chassis/core.py": "CORE = 1\n",
    "vendor/chassis/src/chassis/old.py": "OLD = 1\n",
    "vendor/chassis-database/src/chassis_database/db.py": "DB = 1\n",
}
NEWER: dict[str, str | None] = {
    "Makefile": "run:\n\techo run newer\n",
    "vendor/chassis/src/chassis/core.py": "CORE = 2\n",
    "vendor/chassis/src/chassis/new/more.py": "MORE = 2\n",
    "vendor/chassis/src/chassis/old.py": None,
    "vendor/chassis-database/src/chassis_database/db.py": "DB = 2\n",
}
MEMBERS = '[tool.uv.workspace]\nmembers = ["services/*"]\nexclude = ["services/none"]\n'


@dataclass(frozen=True)
class Shared:
    """A template, and the root of a workspace with the services `services/a` and, with a database, `services/b`."""

    history: History
    root: Path

    @property
    def vendor(self) -> dict[str, tuple[int, bytes]]:
        """What lies in the vendor/ of the workspace."""
        return tree(self.root / "vendor")

    def service(self, name: str) -> Path:
        return self.root / "services" / name

    def run(self, name: str, *arguments: str) -> tuple[int, str]:
        """Roll a service up to the newest release, without a lock, whatever stands there."""
        done = twelvefold("rollup", self.service(name), "--template", self.history.repository, "--no-lock", *arguments)
        return done.exit_code, done.output

    def rollup(self, name: str, *arguments: str, exit_code: int = 0) -> str:
        """Commit all there is, and roll a service up."""
        self.save()
        code, said = self.run(name, *arguments)
        assert code == exit_code, said
        return said

    def status(self, name: str, exit_code: int = 0) -> list[str]:
        """What `twelvefold status` says of a service, a line each."""
        done = twelvefold("status", self.service(name), "--template", self.history.repository)
        assert done.exit_code == exit_code, done.output
        return done.output.splitlines()

    def manifest(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.service(name) / ".twelvefold/manifest.json").read_bytes())
        return content

    def save(self) -> None:
        """Commit all there is."""
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--allow-empty", "--message", "All")


def with_vendor(folder: Path) -> History:
    """The small template in a folder, with a vendor/."""
    return History(folder, {**FILES, **VENDORED})


def begun(folder: Path) -> Shared:
    """The template as 0.1.0, and two services of that."""
    (folder / "template").mkdir()
    history = with_vendor(folder / "template")
    history.release("0.1.0")
    return shared(history, folder / "root")


def copied(folder: Path, to: Path) -> Shared:
    """A copy of what was begun in another folder."""
    for name in ("template", "root"):
        shutil.copytree(folder / name, to / name, symlinks=True)
    return Shared(with_vendor(to / "template"), to / "root")


def apart(history: History, root: Path) -> Shared:
    """Two services of the newest release, each with a vendor/ of its own, committed."""
    (root / "services").mkdir(parents=True)
    for name, database in (("a", False), ("b", True)):
        render(root / "services", history.repository, project_slug=name, database=database)
    (root / "pyproject.toml").write_text(MEMBERS, encoding="utf-8")
    commit(root, "Rendered")
    return Shared(history, root)


def shared(history: History, root: Path) -> Shared:
    """The same with one vendor/."""
    both = apart(history, root)
    share(root, "services/b", "services/a")
    both.save()
    return both


def share(root: Path, first: str, *others: str) -> None:
    """Let services share the vendor/ of the first."""
    (root / first / "vendor").rename(root / "vendor")
    for other in others:
        shutil.rmtree(root / other / "vendor")
    for name in (first, *others):
        (root / name / "vendor").symlink_to(os.path.relpath("vendor", name))
