"""Releases are made in a small repository of their own, whose `make` is a stand-in."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
CHANGELOG = "# Changelog\n\n## 0.1.0 - unreleased\n\n- All of it.\n"
FILES = {
    "cookiecutter.json": '{\n  "project_name": "My Service",\n  "_template_version": "0.1.0.dev"\n}\n',
    "CHANGELOG.md": CHANGELOG,
    "releases.json": "{}\n",
    ".gitignore": "made-with\n__pycache__/\n",
}
# Notes its arguments, what a make above it handed down, and the version it saw.
FAKE_MAKE = """#!/bin/sh
echo "$* ${MAKEFLAGS-}" >> made-with
grep _template_version cookiecutter.json >> made-with
"""


class Repository:
    """A template on its branch main, with a `make` that exits as `make_exit` says."""

    def __init__(self, home: Path) -> None:
        self.path = home / "template"
        self.tools = home / "tools"
        (self.path / "scripts").mkdir(parents=True)
        self.tools.mkdir()
        for name in ("release.py", "rendered.py"):
            shutil.copy(SCRIPTS / name, self.path / "scripts")
        for name, text in FILES.items():
            (self.path / name).write_text(text, encoding="utf-8")
        self.make_exit(0)
        self.git("init", "--quiet", "--initial-branch", "main")
        self.commit_all("Begin")

    def make_exit(self, code: int) -> None:
        make = self.tools / "make"
        make.write_text(FAKE_MAKE + f"exit {code}\n")
        make.chmod(0o755)

    def environment(self) -> dict[str, str]:
        identity = {f"GIT_{who}_{what}": "t@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("GIT_")},
            **identity,
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_SYSTEM": os.devnull,
            "PATH": f"{self.tools}:{os.environ['PATH']}",
            "MAKEFLAGS": "w",  # as below `make release`
        }

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env=self.environment(), capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit_all(self, message: str) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)

    def release(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "scripts/release.py", *arguments],
            cwd=self.path,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def at(self, revision: str, name: str) -> str:
        return self.git("show", f"{revision}:{name}")

    def version_at(self, revision: str) -> str:
        return str(json.loads(self.at(revision, "cookiecutter.json"))["_template_version"])

    def everything(self) -> tuple[str, ...]:
        """What a refused release must leave as it was."""
        files = tuple((self.path / name).read_text(encoding="utf-8") for name in FILES)
        return self.git("for-each-ref"), self.git("status", "--porcelain"), *files


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def test_release_is_tagged_and_the_next_version_started(repository: Repository) -> None:
    done = repository.release("0.1.0")

    assert (done.returncode, done.stderr) == (0, "")
    assert "git push --atomic origin main 0.1.0" in done.stdout
    assert repository.git("log", "--format=%s") == "Start 0.2.0\nRelease 0.1.0\nBegin"
    assert repository.git("rev-parse", "0.1.0^{commit}") == repository.git("rev-parse", "HEAD~1")
    assert repository.version_at("0.1.0") == "0.1.0"
    assert repository.version_at("HEAD") == "0.2.0.dev"
    assert json.loads(repository.at("HEAD", "releases.json")) == {"0.1.0": repository.git("rev-parse", "HEAD~1")}
    assert repository.git("status", "--porcelain") == ""


def test_changelog_section_is_dated(repository: Repository) -> None:
    repository.release("0.1.0")

    date = repository.git("log", "-1", "--format=%ad", "--date=format-local:%Y-%m-%d", "0.1.0")
    assert repository.at("0.1.0", "CHANGELOG.md") == CHANGELOG.replace("unreleased", date).strip()


def test_tests_run_with_the_released_version_as_from_a_shell(repository: Repository) -> None:
    repository.release("0.1.0")

    seen = '  "_template_version": "0.1.0"\n'
    assert (repository.path / "made-with").read_text() == f"test \n{seen}wheels \n{seen}"


def test_only_the_version_changes_in_the_questions(repository: Repository) -> None:
    repository.release("0.1.0")

    expected = FILES["cookiecutter.json"].replace("0.1.0.dev", "0.1.0")
    assert repository.at("0.1.0", "cookiecutter.json") == expected.strip()


@pytest.mark.parametrize("version", ["0.1.1", "0.2.0", "1.0.0"])
def test_second_release_is_noted_beside_the_first(repository: Repository, version: str) -> None:
    repository.release("0.1.0")
    with (repository.path / "CHANGELOG.md").open("a") as changelog:
        changelog.write(f"\n## {version} - unreleased\n\n- More.\n")
    repository.commit_all("More")

    assert repository.release(version).returncode == 0
    assert list(json.loads(repository.at("HEAD", "releases.json"))) == ["0.1.0", version]


@pytest.mark.parametrize("version", ["0.1", "v0.1.0", "0.1.0.dev", "0.01.0", "1.2.3.4", "latest", "0.1.0\n", ""])
def test_version_of_another_form_is_refused(repository: Repository, version: str) -> None:
    refused(repository, version, "three numbers, such as 1.2.3")


def test_version_below_the_developed_one_is_refused(repository: Repository) -> None:
    refused(repository, "0.0.9", "not greater than 0.1.0.dev")


@pytest.mark.parametrize("version", ["0.1.0", "0.0.9"])
def test_version_up_to_the_last_release_is_refused(repository: Repository, version: str) -> None:
    repository.release("0.1.0")

    refused(repository, version, "not greater than the last release, 0.1.0")


def test_other_branch_is_refused(repository: Repository) -> None:
    repository.git("switch", "--quiet", "--create", "mend")

    refused(repository, "0.1.0", "branch mend; releases are made from main")


@pytest.mark.parametrize("name", ["CHANGELOG.md", "new.txt"])
def test_dirty_tree_is_refused(repository: Repository, name: str) -> None:
    with (repository.path / name).open("a") as file:
        file.write("Not committed.\n")

    refused(repository, "0.1.0", "not committed")


def test_existing_tag_is_refused(repository: Repository) -> None:
    repository.git("tag", "0.1.0")

    refused(repository, "0.1.0", "tag 0.1.0 exists already")


def test_version_without_section_is_refused(repository: Repository) -> None:
    refused(repository, "0.2.0", "## 0.2.0 - unreleased")


@pytest.mark.parametrize("arguments", [(), ("0.1.0", "0.2.0")])
def test_exactly_one_version_is_expected(repository: Repository, arguments: tuple[str, ...]) -> None:
    assert repository.release(*arguments).returncode == 2


def test_failing_tests_leave_everything_as_it_was(repository: Repository) -> None:
    repository.make_exit(1)

    refused(repository, "0.1.0", "make test failed")


def test_failing_commit_leaves_everything_as_it_was(repository: Repository) -> None:
    hook = repository.path / ".git/hooks/commit-msg"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\n! grep -q Start "$1" || { echo "no second commit" >&2; exit 1; }\n')
    hook.chmod(0o755)

    refused(repository, "0.1.0", "git commit failed: no second commit")


def refused(repository: Repository, version: str, sentence: str) -> None:
    before = repository.everything()
    done = repository.release(version)

    assert done.returncode == 2
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert repository.everything() == before
