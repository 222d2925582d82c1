"""Roll a service up from the newest release to this checkout's HEAD, and see that its team lost nothing.

Run by `make update-path`, and by this repository's own pipelines. Needs the whole history: releases.json names the
commits. Exit code 1 says what was lost.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rendered import TEMPLATE, render, run, say

# Appended to files that the first render wrote and that the team has owned or shared since.
TEAM_EDITS = {
    ".gitignore": "/of-the-team/\n",
    "README.md": "\nOf the team.\n",
    "config/settings.toml": "# Of the team.\n",
    "src/my_service/settings.py": "# Of the team.\n",
}
TEAM_FILES = {"tests/test_of_the_team.py": "def test_of_the_team() -> None:\n    pass\n"}
DRIFT = {"src/chassis/__init__.py": "# An edit in what the template owns.\n"}


def newest_release() -> tuple[str, str] | None:
    """Return the version and commit of the newest release, if there is one."""
    releases: dict[str, str] = json.loads((TEMPLATE / "releases.json").read_text(encoding="utf-8"))
    return max(releases.items(), key=lambda release: [int(number) for number in release[0].split(".")], default=None)


def checkout(commit: str, folder: Path) -> Path:
    """Clone the template into `folder` at `commit`. Raises CalledProcessError if its history is too short."""
    run("git", "clone", "--quiet", "--no-checkout", TEMPLATE, folder, folder=TEMPLATE)
    run("git", "-c", "advice.detachedHead=false", "checkout", "--quiet", commit, folder=folder)
    return folder


def edit(service: Path) -> None:
    for name, line in {**TEAM_EDITS, **TEAM_FILES, **DRIFT}.items():
        with (service / name).open("a", encoding="utf-8") as file:
            file.write(line)


def commit_all(service: Path) -> None:
    author = ("-c", "user.name=Team", "-c", "user.email=team@localhost")
    run("git", "init", "--quiet", folder=service)
    run("git", "add", "--all", folder=service)
    run("git", *author, "commit", "--quiet", "--message", "As it was", folder=service)


def failures(service: Path) -> list[str]:
    """What the rollup did to the team, and what of the drift it left: a sentence each."""
    kept, healed = {**TEAM_EDITS, **TEAM_FILES}, DRIFT
    return [
        *(f"{name} lost what its team wrote." for name, line in kept.items() if not holds(service, name, line)),
        *(
            f"{name} kept an edit in what the template owns."
            for name, line in healed.items()
            if holds(service, name, line)
        ),
    ]


def holds(service: Path, name: str, line: str) -> bool:
    path = service / name
    return path.is_file() and line in path.read_text(encoding="utf-8")


def update(commit: str, scratch: Path) -> list[str]:
    service = render(checkout(commit, scratch / "released"), scratch)
    edit(service)
    commit_all(service)
    run("scaraplate", "rollup", checkout("HEAD", scratch / "head"), service, "--no-input", folder=scratch)
    run("git", "status", "--short", folder=service)
    run("make", "test", folder=service)
    return failures(service)


def main() -> int:
    release = newest_release()
    if release is None:
        say("There is no release yet, so there is nothing to roll up from.")
        return 0
    version, commit = release
    with tempfile.TemporaryDirectory() as scratch:
        try:
            found = update(commit, Path(scratch))
        except subprocess.CalledProcessError as error:
            found = [f"{error.cmd[0]} ended with exit code {error.returncode}; its output is above."]
    say("\n".join(found) or f"A service rendered by {version} was rolled up; its team lost nothing, its tests pass.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
