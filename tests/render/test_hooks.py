"""The hooks of a service, under pre-commit and under prek: what each lets pass and what it stops."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml

from commands import Done, run, succeed
from conftest import Render, commit, git
from environments import CACHE, without_project

RUNNERS = [pytest.param("prek"), pytest.param("pre-commit", marks=pytest.mark.slow)]
PATH = "src/my_service"
AWS_KEY = "AKIA" + "QWERTYUIOPASDFGH"[:16]  # in two parts, so that the template's own hook lets it pass


def add(path: str, text: str) -> Callable[[Path], object]:
    return lambda service: (service / path).write_text(text, encoding="utf-8")


def change(path: str, old: str, new: str) -> Callable[[Path], object]:
    def do(service: Path) -> object:
        text = (service / path).read_text(encoding="utf-8")
        assert old in text
        return (service / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    return do


# Of the hook → the CI in whose services it is, what it stops, and what it then says.
STOPPED = {
    "ruff-check": ("gitlab", add(f"{PATH}/extra.py", "def f(x=[]):\n    return x\n"), "B006"),
    "ruff-format": ("gitlab", add(f"{PATH}/extra.py", "x = {'a':1}\n"), "1 file reformatted"),
    "mypy": ("gitlab", add(f"{PATH}/extra.py", 'x: int = "one"\n'), "Incompatible types"),
    "uv-lock": ("gitlab", change("pyproject.toml", '  "fastapi",\n', '  "fastapi",\n  "no-such<0",\n'), "no-such"),
    "toml-sort": (
        "gitlab",
        change("pyproject.toml", '  "fastapi",\n  "pydantic",\n', '  "pydantic",\n  "fastapi",\n'),
        "",
    ),
    "yamllint": ("gitlab", add("x.yaml", "a: 1\na: 2\n"), 'duplication of key "a"'),
    "shellcheck": ("gitlab", add("x.sh", "#!/bin/sh\nrm $1/*\n"), "SC2086"),
    "hadolint": ("gitlab", add("Dockerfile", "FROM python\nRUN sudo ls\n"), "DL3004"),
    "gitlab-ci": ("gitlab", change(".gitlab-ci.yml", "script: [make lint]", "scrpt: [make lint]"), "scrpt"),
    "actionlint": ("github", change(".github/workflows/ci.yml", "needs: [scan]", "needs: [scna]"), "scna"),
    "zizmor": (
        "github",
        change(".github/workflows/ci.yml", "run: make scan sbom", "run: make ${{ github.head_ref }}"),
        "template-injection",
    ),
    "gitleaks": ("gitlab", add(f"{PATH}/extra.py", f'KEY = "{AWS_KEY}"\n'), "leaks found: 1"),
    "large-files": ("gitlab", add("x.bin", "x" * 600_000), "exceeds 500 KB"),
    "merge-markers": ("gitlab", add("x.md", "<" * 7 + " HEAD\nours\n"), "x.md"),
    "nitpick": ("gitlab", add("setup.cfg", "[flake8]\n"), "setup.cfg"),
}
MESSAGES = {
    "feat(api): greet in French": True,
    "fix!: refuse empty names\n\nBREAKING CHANGE: they were greeted.": True,
    "Merge branch 'main' into feature/x": True,
    'Revert "feat: greet"': True,
    "greet in French": False,
    "feat:": False,
    "feature: greet in French": False,
    "Greet\n\nfeat: in French": False,
}


@pytest.fixture(scope="module")
def committed(rendered: Render, tmp_path_factory: pytest.TempPathFactory, python: Path) -> Callable[[str], Path]:
    """A function that makes a committed service once, whose .venv is the one that all share."""

    @cache
    def once(ci: str) -> Path:
        service = Path(shutil.copytree(rendered(ci=ci), tmp_path_factory.mktemp(ci) / "my-service"))
        (service / ".venv").symlink_to(python.parents[1])
        shutil.copy(CACHE / "default/uv.lock", service)
        succeed("uv", "lock", "--quiet", cwd=service, env=without_project())
        commit(service, "chore: render")
        return service

    return once


@pytest.fixture
def repository(committed: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """A function that gives a copy of a committed service to write into."""
    return lambda ci: Path(shutil.copytree(committed(ci), tmp_path / "my-service", symlinks=True))


def hooks(service: Path, runner: str, *arguments: str, **variables: str) -> Done:
    environment = {**without_project(), "MYPY_CACHE_DIR": str(CACHE / "mypy-hooks"), **variables}
    return run(service / ".venv/bin" / runner, "run", "--verbose", *arguments, cwd=service, env=environment)


def ids(service: Path) -> set[str]:
    config = yaml.safe_load((service / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    return {hook["id"] for repo in config["repos"] for hook in repo["hooks"]}


@pytest.mark.parametrize("ci", [pytest.param("gitlab", marks=pytest.mark.slow), "github", "jenkins"])
def test_a_new_service_passes(ci: str, repository: Callable[[str], Path]) -> None:
    done = hooks(repository(ci), "prek", "--all-files", SKIP="mypy")  # make chassis runs mypy
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("runner", ["prek", "pre-commit"])
def test_all_of_them_pass_and_leave_a_new_service_as_it_is(runner: str, repository: Callable[[str], Path]) -> None:
    """How long that takes once they are warm, `make bench NAME=hooks` measures."""
    service = repository("github")  # it has the most
    done = hooks(service, runner, "--all-files")
    assert done.returncode == 0, done.stdout + done.stderr
    assert git(service, "status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("hook", STOPPED)
def test_each_hook_stops_what_it_is_for(hook: str, runner: str, repository: Callable[[str], Path]) -> None:
    ci, do, said = STOPPED[hook]
    service = repository(ci)
    do(service)
    git(service, "add", "--all")
    done = hooks(service, runner, hook)
    assert done.returncode == 1, done.stdout + done.stderr
    assert said in done.stdout, done.stdout


# One of a team's that rewrites whatever it is given, as formatters do.
REWRITING = """\
      - id: rewrite
        name: ours
        entry: sh -c 'for file; do echo "# ours" >> "$file"; done' --
        language: system
        types: [text]
"""


@pytest.mark.parametrize("runner", RUNNERS)
def test_a_team_s_own_hook_sees_nothing_of_the_chassis_and_the_memory(
    runner: str, repository: Callable[[str], Path]
) -> None:
    service = repository("gitlab")
    with (service / ".pre-commit-config.yaml").open("a", encoding="utf-8") as config:
        config.write(REWRITING)
    git(service, "add", "--all")
    hooks(service, runner, "rewrite", "--all-files")
    changed = git(service, "diff", "--name-only").split("\n")
    assert f"{PATH}/api.py" in changed
    whole = whole_files(service)
    assert whole
    assert not [path for path in changed if path in whole or path.startswith(".twelvefold/")]


def test_a_team_s_settings_of_ruff_judge_its_own_code(repository: Callable[[str], Path]) -> None:
    service = repository("gitlab")
    change("pyproject.toml", "line-length = 120", "line-length = 40")(service)
    ruff = service / ".venv/bin/ruff"
    check: list[str | Path] = [ruff, "format", "--check", "--output-format=concise", ".", *sorted(whole_files(service))]
    done = run(*check, cwd=service, env=without_project())
    judged = [line.split(":")[0] for line in done.stdout.splitlines() if "unformatted" in line]
    assert f"{PATH}/api.py" in judged
    assert not [path for path in judged if not path.startswith(("src/", "tests/"))]
    listed = run(ruff, "check", "--show-files", cwd=service, env=without_project()).stdout
    assert f"{service}/pyproject.toml" in listed
    assert ".twelvefold" not in listed


def whole_files(service: Path) -> set[str]:
    """The Python that the template owns, and what else lies in vendor/."""
    manifest = json.loads((service / ".twelvefold/manifest.json").read_text(encoding="utf-8"))
    owned = {path for path, entry in manifest.items() if entry["owner"] == "owned"}
    return {path for path in owned if path.endswith(".py") or path.startswith("vendor/")}


def test_no_hook_is_without_a_control(rendered: Render) -> None:
    every = {one for ci in ("gitlab", "github", "jenkins") for one in ids(rendered(ci=ci))}
    assert every == {*STOPPED, "commit-message"}


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("message", MESSAGES)
def test_a_commit_message_is_conventional(
    message: str, runner: str, rendered: Render, tmp_path: Path, python: Path
) -> None:
    config = yaml.safe_load((rendered() / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (tmp_path / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (tmp_path / "message").write_text(message, encoding="utf-8")
    commit(tmp_path, "chore: begin")
    stage = ("run", "--hook-stage=commit-msg", "--commit-msg-filename=message")
    done = run(python.parent / runner, *stage, cwd=tmp_path, env=without_project())
    assert (done.returncode == 0) == MESSAGES[message], done.stdout + done.stderr


@pytest.mark.slow
def test_make_hooks_installs_every_stage(fresh: Render) -> None:
    service = fresh()
    git(service, "init", "--quiet")
    succeed("make", "hooks", cwd=service, env=without_project())
    assert {path.name for path in (service / ".git/hooks").glob("*") if path.suffix != ".sample"} == {
        "pre-commit",
        "commit-msg",
    }
    git(service, "add", "--all")
    refused = run("git", "commit", "--message=no convention", cwd=service, env=without_project())
    assert refused.returncode != 0
    assert "a message such as" in refused.stdout + refused.stderr


def test_the_hooks_need_no_network(rendered: Render) -> None:
    config = yaml.safe_load((rendered() / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert {repo["repo"] for repo in config["repos"]} == {"local"}
    languages = {hook["language"] for repo in config["repos"] for hook in repo["hooks"]}
    assert languages == {"system", "pygrep"}, json.dumps(sorted(languages))
