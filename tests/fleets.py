"""Small fleets: a template with a history, and bare repositories of services that follow it, on this disk."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from conftest import commit, git
from histories import History
from twelvefold.cli import main
from twelvefold.fleet.results import Result as Outcome_
from twelvefold.fleet.results import Results

BRANCH = "twelvefold/update"


@dataclass
class Fleet:
    """A folder with `fleet.toml` and the repositories `git/<name>.git`."""

    folder: Path
    history: History
    seed: Path
    """A service at the first release, with its repository."""

    def add(self, *names: str) -> None:
        """Make bare repositories of the first release."""
        for name in names:
            git(self.folder, "clone", "--quiet", "--bare", str(self.seed), f"git/{name}.git")

    def configure(self, text: str = "", **values: Any) -> None:
        """Write `fleet.toml`: every repository, unless `services` are given; `text` comes after the values."""
        table = {
            "template": str(self.history.repository),
            "lock": False,
            "services": [{"url": "git/*.git"}],
            **values,
        }
        lines = [f"{name} = {_toml(value)}" for name, value in table.items()]
        (self.folder / "fleet.toml").write_text("\n".join([*lines, text]) + "\n", encoding="utf-8")

    def keep_token(self, token: str) -> str:
        """Write the forge's token into a file beside `fleet.toml`; return the line that names it."""
        path = self.folder / "token"
        path.write_text(f"{token}\n", encoding="utf-8")
        path.chmod(0o600)
        return "token_file = 'token'\n"

    def run(self, *arguments: str, exit_code: int = 0) -> str:
        """`twelvefold fleet` with `arguments`, in this process; its workers are processes of their own."""
        done = self.invoke(*arguments)
        assert done.exit_code == exit_code, done.output
        return done.output

    def invoke(self, *arguments: str) -> Result:
        command, *rest = arguments
        options = ["fleet", command, "--fleet", str(self.folder / "fleet.toml"), *rest]
        return CliRunner().invoke(main, options, catch_exceptions=False)

    def rollup(self, *arguments: str, exit_code: int = 0) -> dict[str, Outcome_]:
        """Roll up, and return the result of each service by its name."""
        self.run("rollup", "--jobs", "1", *arguments, exit_code=exit_code)
        return self.results()

    def results(self) -> dict[str, Outcome_]:
        return {result.name: result for _, result in Results(self.folder / ".fleet/results").all()}

    def repository(self, name: str) -> Path:
        return self.folder / f"git/{name}.git"

    def commits(self, name: str, revision: str) -> list[str]:
        """The titles of a revision's commits in a repository, the newest first."""
        return git(self.repository(name), "log", "--format=%s", revision).splitlines()

    def branches(self, name: str) -> list[str]:
        return git(self.repository(name), "for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()

    def show(self, name: str, path: str, revision: str = BRANCH) -> str:
        """A file in a repository."""
        return git(self.repository(name), "show", f"{revision}:{path}").rstrip("\n")

    def push(self, name: str, path: str, text: str, *, branch: str = "main", message: str = "The team's") -> None:
        """Write a file on a branch, as somebody of the team does."""
        clone = self.folder / "scratch"
        git(self.folder, "clone", "--quiet", "--branch", branch, str(self.repository(name)), "scratch")
        (clone / path).parent.mkdir(parents=True, exist_ok=True)
        (clone / path).write_text(text, encoding="utf-8")
        commit(clone, message)
        git(clone, "push", "--quiet", "origin", f"HEAD:{branch}")
        shutil.rmtree(clone)

    def merge(self, name: str) -> None:
        """Merge the request's branch, as a reviewer does; the branch goes."""
        repository = self.repository(name)
        git(repository, "update-ref", "refs/heads/main", f"refs/heads/{BRANCH}")
        git(repository, "update-ref", "-d", f"refs/heads/{BRANCH}")


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {_toml(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value)
