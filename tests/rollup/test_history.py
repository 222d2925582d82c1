"""The real history: services of every released version come to what stands here, directly and step by step.

releases.json names the commits. Where they are missing, as in a shallow clone, these tests fail: git fetch --unshallow.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from commands import run, succeed
from conftest import commit, git
from environments import TEMPLATE, service_path, without_project
from histories import edit, twelvefold, write
from trees import tree

RELEASES: dict[str, str] = json.loads((TEMPLATE / "releases.json").read_text(encoding="utf-8"))
PACKAGE = "src/my_service"


def render(commit_hash: str, folder: Path) -> Path:
    """A service, committed, as cookiecutter renders it at a commit of this repository."""
    git(folder, "clone", "--quiet", "--shared", "--no-checkout", str(TEMPLATE), "template")
    git(folder / "template", "checkout", "--quiet", commit_hash)
    succeed("cookiecutter", "template", "--no-input", "--default-config", "--output-dir", "services", cwd=folder)
    commit(folder / "services/my-service", "Rendered")
    return folder / "services/my-service"


@pytest.fixture(scope="session", params=RELEASES)
def released(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A version and a service that was rendered by it."""
    return request.param, render(RELEASES[request.param], tmp_path_factory.mktemp("released"))


def edit_as_teams_do(service: Path) -> None:
    edit(service, "pyproject.toml", '  "dynaconf",\n', '  "dynaconf",\n  "numpy>=2",  # for the forecast\n')
    edit(service, "pyproject.toml", "line-length = 120", "line-length = 100")
    edit(service, "pyproject.toml", 'version = "0.1.0"', 'version = "4.2.0"')
    edit(service, ".gitlab-ci.yml", "\ntest:\n", "\nforecast:\n  stage: test\n  script: [make forecast]\n\ntest:\n")
    edit(service, ".gitignore", "# Caches\n", "# Caches\n/weather/\n!/weather/keep\n")
    edit(service, ".env.example", "#APP_DOCS=true", "APP_DOCS=false")
    edit(
        service,
        ".pre-commit-config.yaml",
        "      - id: mypy\n",
        "      - id: ours\n        name: ours\n        entry: make ours\n        language: system\n      - id: mypy\n",
    )
    write(service, "README.md", "# Ours now\n")
    write(service, f"{PACKAGE}/forecast.py", "RAIN = True\n")
    write(service, "project.mk", "forecast:\n\techo sunny\n")
    (service / "tests/test_settings.py").unlink()
    commit(service, "The team's")


def update(service: Path, template: Path, ref: str, *, exit_code: int = 0) -> str:
    if git(service, "status", "--porcelain"):
        commit(service, "Updated")
    done = twelvefold("rollup", service, "--template", template, "--ref", ref, "--no-lock")
    assert done.exit_code == exit_code, done.output
    return done.output


def later_than(version: str) -> list[str]:
    versions = list(RELEASES)
    return versions[versions.index(version) + 1 :]


@pytest.mark.slow
def test_an_edited_service_comes_here_directly_and_step_by_step(
    released: tuple[str, Path], template: Path, tmp_path: Path
) -> None:
    version, service = released
    direct = Path(shutil.copytree(service, tmp_path / "direct/my-service"))
    edit_as_teams_do(direct)
    stepwise = Path(shutil.copytree(direct, tmp_path / "stepwise/my-service"))
    edited = tree(direct)
    update(direct, template, "HEAD")
    for step in later_than(version):
        update(stepwise, TEMPLATE, RELEASES[step])
    update(stepwise, template, "HEAD")
    assert tree(stepwise) == tree(direct)
    refuse_losses(edited, direct)
    assert "Nothing to do" in update(direct, template, "HEAD")


def refuse_losses(edited: dict[str, tuple[int, bytes]], service: Path) -> None:
    """Fail if anything that `edit_as_teams_do` wrote is gone, or anything that it deleted is back."""
    now = tree(service)
    for path in ("README.md", "project.mk", f"{PACKAGE}/forecast.py", f"{PACKAGE}/api.py", "config/settings.toml"):
        assert now[path] == edited[path], path
    assert "tests/test_settings.py" not in now
    kept = {
        "pyproject.toml": ['  "numpy>=2",  # for the forecast\n', "line-length = 100", 'version = "4.2.0"'],
        ".gitlab-ci.yml": ["\nforecast:\n  stage: test\n  script: [make forecast]\n"],
        ".gitignore": ["/weather/\n!/weather/keep\n"],
        ".env.example": ["\nAPP_DOCS=false\n"],
        ".pre-commit-config.yaml": ["      - id: ours\n        name: ours\n        entry: make ours\n"],
    }
    for path, texts in kept.items():
        for text in texts:
            assert text in now[path][1].decode(), path
    assert "test" in yaml.safe_load(now[".gitlab-ci.yml"][1])["stages"], "GitLab refuses a job in a stage that is not"


def test_a_service_without_edits_is_a_fresh_render_but_for_its_seeds(
    released: tuple[str, Path], template: Path, rendered: object, tmp_path: Path
) -> None:
    _, service = released
    updated = Path(shutil.copytree(service, tmp_path / "my-service"))
    update(updated, template, "HEAD")
    fresh = tree(rendered())  # type: ignore[operator]
    manifest = json.loads(fresh[".twelvefold/manifest.json"][1])
    seeds = {path for path, entry in manifest.items() if entry["owner"] == "seeded"}
    assert {path: file for path, file in tree(updated).items() if path not in seeds} == {
        path: file for path, file in fresh.items() if path not in seeds
    }


def test_drift_is_healed_on_the_way(released: tuple[str, Path], template: Path, tmp_path: Path) -> None:
    _, service = released
    drifted = Path(shutil.copytree(service, tmp_path / "my-service"))
    write(drifted, "Dockerfile", "# patched in a hurry\n")
    said = update(drifted, template, "HEAD", exit_code=2)
    assert "Dockerfile: put back as the template has it" in said
    assert "patched" not in (drifted / "Dockerfile").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_service_s_own_checks_pass_afterwards(
    released: tuple[str, Path], template: Path, python: Path, tmp_path: Path
) -> None:
    _, service = released
    updated = Path(shutil.copytree(service, tmp_path / "my-service"))
    update(updated, template, "HEAD")
    environment = {**without_project(), "PYTHONPATH": service_path(updated)}
    for command in (["pytest"], ["mypy"], ["ruff", "check"]):
        done = run(python.parent / command[0], *command[1:], cwd=updated, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_release_is_in_the_history() -> None:
    for version, commit_hash in RELEASES.items():
        questions = json.loads(git(TEMPLATE, "show", f"{commit_hash}:cookiecutter.json"))
        assert questions["_template_version"] == version
