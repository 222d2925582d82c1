"""`twelvefold adopt`: repositories that no template made."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from conftest import commit, git
from histories import History, answers_of, twelvefold, write
from trees import tree
from twelvefold.engine.adopt import guesses

PYPROJECT = """\
[build-system]
requires = ["setuptools"]  # ours

[project]
name = "Billing.Service"
version = "3.2.1"
description = "Writes bills."
dependencies = [
    "requests>=2",
    "fastapi>=0.50",  # old
]

[tool.ruff]
line-length = 79

[tool.ours]
key = "value"
"""
CI = """\
# Ours.
stages: [build]

build:
  stage: build
  script: [make all]

lint:
  stage: build
  script: [flake8]
"""


def repository(folder: Path, layout: str) -> Path:
    """A service that grew without a template."""
    package = folder / "src/billing" if layout == "src" else folder / "billing"
    files = {
        "pyproject.toml": PYPROJECT,
        "ci.yml": CI,
        "Makefile": "all:\n\techo ours\n",
        ".gitignore": "dist/\n",
        "README.md": "# Billing\n",
        "seeds/api.py": "OURS = 1\n",
        f"{package.relative_to(folder)}/__init__.py": "",
        f"{package.relative_to(folder)}/bills.py": "BILLS = 1\n",
        "tests/test_bills.py": "def test() -> None: ...\n",
    }
    for path, text in files.items():
        write(folder, path, text)
    commit(folder, "Grown")
    return folder


@pytest.mark.parametrize("layout", ["src", "flat"])
def test_it_shows_the_plan_and_then_does_it(layout: str, history: History, tmp_path: Path) -> None:
    service = repository(tmp_path / "billing", layout)
    before = tree(service)
    options = ("--template", history.repository, "--no-lock")
    shown = twelvefold("adopt", service, *options)
    assert (shown.exit_code, tree(service)) == (1, before)
    assert git(service, "status", "--porcelain") == ""
    for line in (
        "billing-service: 0.1.0\n",
        "  changed  Makefile\n",
        "  added    owned/core.py\n",
        "Makefile: replaced yours: the template has a file of this name now\n",
        "-\techo ours\n",
        "Nothing was changed. To do it: the same command with --yes\n",
    ):
        assert line in shown.output
    report = tmp_path / "report.json"
    done = twelvefold("adopt", service, *options, "--yes", "--commit", "--report", report)
    assert done.exit_code == 2, done.output
    assert git(service, "status", "--porcelain") == ""
    assert git(service, "log", "-1", "--format=%s").strip() == "chore: adopt the template, 0.1.0"
    told = json.loads(report.read_text())
    assert (told["from"], told["to"]) == ("", "0.1.0")
    assert "-\techo ours" in next(one["patch"] for one in told["decisions"] if one["path"] == "Makefile")
    assert "Nothing to do." in twelvefold("rollup", service, *options).output
    after = tree(service)
    template_s = {"Makefile", "pyproject.toml", "ci.yml", ".gitignore"}
    assert {path: after[path] for path in before if path not in template_s} == {
        path: file for path, file in before.items() if path not in template_s
    }
    assert (service / "Makefile").read_text() == history.files["Makefile"]


def test_the_team_s_keys_and_members_stay(history: History, tmp_path: Path) -> None:
    service = repository(tmp_path / "billing", "src")
    done = twelvefold("adopt", service, "--template", history.repository, "--no-lock", "--yes")
    assert done.exit_code == 2, done.output
    text = (service / "pyproject.toml").read_text()
    old, new = tomllib.loads(PYPROJECT), tomllib.loads(text)
    assert new["build-system"] == old["build-system"]
    assert new["tool"]["ours"] == old["tool"]["ours"]
    assert new["tool"]["ruff"]["line-length"] == 79
    assert {key: new["project"][key] for key in ("name", "version", "description")} == {
        key: old["project"][key] for key in ("name", "version", "description")
    }
    assert {"requests>=2", "click", "uvicorn"} <= set(new["project"]["dependencies"])
    assert len([one for one in new["project"]["dependencies"] if one.startswith("fastapi")]) == 1
    assert 'requires = ["setuptools"]  # ours\n' in text
    assert "tool.ruff.line-length = 79" in done.output
    ci = (service / "ci.yml").read_text()
    assert ci.startswith("# Ours.\n")
    for line in ("build:\n  stage: build\n  script: [make all]\n", "  script: [flake8]\n", "make test"):
        assert line in ci
    assert {"dist/", ".env"} <= set((service / ".gitignore").read_text().splitlines())


def test_answers_are_guessed_and_may_be_given(history: History, tmp_path: Path) -> None:
    service = repository(tmp_path / "billing", "src")
    git(service, "remote", "add", "origin", "git@github.example.com:acme/payments/billing.git")
    options = ("--template", history.repository, "--no-lock", "--yes", "--answer", "database=yes")
    twelvefold("adopt", service, *options)
    assert answers_of(service) == {
        "project_name": "Billing Service",
        "project_slug": "billing-service",
        "package_name": "billing",
        "ci": "github",
        "database": True,
    }


def test_an_answer_that_is_typed_beats_the_one_of_scaraplate(history: History, tmp_path: Path) -> None:
    service = repository(tmp_path / "billing", "src")
    write(service, ".scaraplate.conf", "[cookiecutter_context]\nproject_name = Stored\nci = github\n")
    commit(service, "Made by scaraplate")
    typed = ("--answer", "project_name=Typed")
    twelvefold("adopt", service, "--template", history.repository, "--no-lock", "--yes", *typed)
    answers = answers_of(service)
    assert (answers["project_name"], answers["ci"]) == ("Typed", "github")


@pytest.mark.parametrize(
    ("remote", "found"),
    [
        (
            "https://user:token@gitlab.example.com:8443/a/b/c.git",
            {"owner": "a/b", "repository_url": "https://gitlab.example.com:8443/a/b/c", "ci": "gitlab"},
        ),
        (
            "ssh://git@gitlab.com/a/c.git",
            {"owner": "a", "repository_url": "https://gitlab.com/a/c", "ci": "gitlab"},
        ),
        ("git@git.example.com:a/c", {"owner": "a", "repository_url": "https://git.example.com/a/c"}),
        ("/srv/git/c.git", {}),
        ("../c", {}),
    ],
)
def test_the_remote_says_who_owns_it(remote: str, found: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "Our Service").mkdir()
    git(tmp_path / "Our Service", "init", "--quiet")
    git(tmp_path / "Our Service", "remote", "add", "origin", remote)
    names = {"project_slug": "our-service", "project_name": "Our Service"}
    assert guesses(tmp_path / "Our Service") == names | found


@pytest.mark.parametrize("project", ["not TOML [", "project = 1\n", "[project]\nname = 1\n", "\ufeff\0"])
def test_a_pyproject_that_says_nothing_is_no_obstacle_to_a_guess(project: str, tmp_path: Path) -> None:
    write(tmp_path / "pay", "pyproject.toml", project)
    assert guesses(tmp_path / "pay")["project_slug"] in {"pay", "1"}


def test_what_cannot_be_merged_is_left_and_reported(history: History, tmp_path: Path) -> None:
    service = repository(tmp_path / "billing", "flat")
    write(service, "pyproject.toml", "[project\n")
    commit(service, "Broken")
    options = ("--template", history.repository, "--no-lock", "--yes", "--answer", "project_slug=billing")
    done = twelvefold("adopt", service, *options)
    assert (done.exit_code, (service / "pyproject.toml").read_text()) == (2, "[project\n")
    assert "pyproject.toml: left as it is: " in done.output


@pytest.mark.parametrize("arguments", [(), ("--yes",)], ids=str)
def test_dependencies_that_would_be_lost_are_said_and_nothing_is_done(
    arguments: tuple[str, ...], history: History, tmp_path: Path
) -> None:
    service = repository(tmp_path / "billing", "flat")
    write(service, "pyproject.toml", PYPROJECT.replace('version = "3.2.1"', 'dynamic = ["version"]'))
    write(service, "requirements.txt", "flask\n")
    commit(service, "Older")
    before = tree(service)
    done = twelvefold("adopt", service, "--template", history.repository, "--no-lock", *arguments)
    assert (done.exit_code, tree(service)) == (2, before)
    assert done.output.startswith("Error: billing declares what an adoption would lose:\n")
    assert '\n  pyproject.toml: [project] dynamic = ["version"]\n  requirements.txt: flask\n' in done.output
    assert done.output.endswith("\n  uvx migrate-to-uv\n")


def test_a_package_beside_src_is_noted(history: History, tmp_path: Path) -> None:
    """Else there would be two packages of one name: the team's, and the seeded one in src/."""
    service = repository(tmp_path / "billing", "flat")
    options = ("adopt", service, "--template", history.repository)
    note = "billing/ is yours, and the template's tools look in src/. Best before you adopt: mkdir -p src && git mv"
    assert note in twelvefold(*options, "--answer", "package_name=billing").output
    assert note not in twelvefold(*options, "--answer", "package_name=other").output


def test_a_branch_takes_it(history: History, tmp_path: Path) -> None:
    service = repository(tmp_path / "billing", "flat")
    before = tree(service)
    options = ("--template", history.repository, "--no-lock", "--yes", "--branch", "adopt")
    assert twelvefold("adopt", service, *options).exit_code == 2
    git(service, "switch", "--quiet", "main")
    assert tree(service) == before


def test_a_dirty_tree_may_see_the_plan_and_no_more(history: History, tmp_path: Path) -> None:
    service = repository(tmp_path / "billing", "flat")
    write(service, "new.py", "NEW = 1\n")
    before = tree(service)
    options = ("adopt", service, "--template", history.repository)
    assert twelvefold(*options).exit_code == 1
    done = twelvefold(*options, "--yes")
    assert (done.exit_code, tree(service)) == (2, before)
    assert "There are changes that are not committed (new.py)" in done.output


def test_what_it_does_not_take(history: History, service: Path, tmp_path: Path) -> None:
    grown = repository(tmp_path / "billing", "flat")
    (tmp_path / "bare").mkdir()
    template = ("--template", str(history.repository))
    cases: dict[str, list[str | Path]] = {
        "was made by a template already. To update it: twelvefold rollup": [service, *template],
        "Name the template: twelvefold adopt --template URL": [grown],
        "is in no git repository": [tmp_path / "bare", *template],
        "has no tag, branch or commit 9": [grown, *template, "--ref", "9"],
        "The template does not ask x": [grown, *template, "--answer", "x=y"],
    }
    for message, arguments in cases.items():
        done = twelvefold("adopt", *arguments)
        assert (done.exit_code, message in done.output) == (2, True), done.output
    write(grown, ".scaraplate.conf", "no section\n")
    done = twelvefold("adopt", grown, *template)
    assert (done.exit_code, ".scaraplate.conf cannot be read" in done.output) == (2, True), done.output
