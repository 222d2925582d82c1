"""A repository with an application of its own, adopted by this repository's own template: what it is spared."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from answers import capability_sets, label
from commands import succeed
from conftest import commit, git
from environments import SERVICE
from histories import edit, twelvefold, write
from trees import tree

FILES = {
    "pyproject.toml": '[project]\nname = "orders"\nversion = "4.2.0"\ndependencies = ["fastapi"]\n',
    "app/__init__.py": "",
    "app/main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n",
    "tests/test_orders.py": "def test_orders() -> None: ...\n",
    "tests/conftest.py": "OURS = True\n",
    "Dockerfile": 'FROM python:3.13\nCOPY . .\nCMD ["uvicorn", "app.main:app"]\n',
    ".dockerignore": ".git\n",
    "README.md": "# Orders\n",
    ".gitlab-ci.yml": "# Ours.\nstages: [ship]\n\nproduction:\n  stage: ship\n  script: [./ship.sh]\n",
}
# One for each CI, and all capabilities.
EVERY = [capability_sets()[number] for number in (0, 1, 2, -1)]
SHIPS = re.compile(
    r"make (\w+ )*(image|push|deploy|scan|sbom|chart|smoke|notes|release-check)\b|buildah|docker|helm|gh release"
)


@pytest.fixture(params=EVERY, ids=label)
def answers(request: pytest.FixtureRequest) -> dict[str, str | bool]:
    chosen: dict[str, str | bool] = request.param
    return chosen


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    for path, text in FILES.items():
        write(tmp_path / "orders", path, text)
    commit(tmp_path / "orders", "Grown")
    return tmp_path / "orders"


@pytest.fixture
def adopted(answers: dict[str, str | bool], grown: Path, template: Path) -> Path:
    given = [f"--answer={name}={str(answer).lower()}" for name, answer in answers.items()]
    where = ("--template", template, "--ref", "HEAD", "--no-lock", "--no-input", "--yes", "--commit")
    done = twelvefold("adopt", grown, *where, *given)
    assert done.exit_code == 0, done.output
    assert "This repository has an application of its own (app/__init__.py and 2 more)" in done.output
    return grown


@pytest.mark.slow
def test_no_demo_no_image_no_chart(adopted: Path) -> None:
    manifest = json.loads((adopted / ".twelvefold/manifest.json").read_text())
    after = tree(adopted)
    brought = {path for path in after if path not in FILES}
    shipped = ("deploy/", "compose.yaml", "Jenkinsfile", "Procfile", "config/", ".env.example", "src/orders", "src/app")
    assert not [path for path in brought | set(manifest) if path.startswith(shipped)]
    assert not [path for path in brought if path.startswith("tests/")]
    merged = {"pyproject.toml", ".gitlab-ci.yml"}
    assert {path: after[path][1].decode() for path in FILES if path not in merged} == {
        path: text for path, text in FILES.items() if path not in merged
    }
    assert "build-system" not in (adopted / "pyproject.toml").read_text()
    succeed(sys.executable, "-I", "vendor/check.py", cwd=adopted)  # `make lint` begins with it


def jobs(service: Path, answers: dict[str, str | bool]) -> tuple[dict[str, Any], str]:
    """The pipeline's jobs by name, and the key by which one waits for others."""
    if answers["ci"] == "gitlab":
        pipeline = yaml.safe_load((service / ".gitlab-ci.yml").read_text())
        return {name: job for name, job in pipeline.items() if isinstance(job, dict) and "script" in job}, "extends"
    if answers["ci"] == "github":
        return yaml.safe_load((service / ".github/workflows/ci.yml").read_text())["jobs"], "needs"
    return {}, ""


def texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        value = [*value, *value.values()]
    for one in value if isinstance(value, list) else []:
        yield from texts(one)
    if isinstance(value, str):
        yield value


@pytest.mark.slow
def test_no_job_deploys_and_none_waits_for_one_that_is_not_there(adopted: Path, answers: dict[str, str | bool]) -> None:
    found, waits = jobs(adopted, answers)
    own = {"production": {"stage": "ship", "script": ["./ship.sh"]}}
    if answers["ci"] == "gitlab":
        assert found.pop("production") == own["production"]
        assert {"lint", "test", "build"} <= set(found)
        hidden = set(yaml.safe_load((adopted / ".gitlab-ci.yml").read_text()))
        assert {job[waits] for job in found.values() if waits in job} <= hidden
    else:
        assert yaml.safe_load((adopted / ".gitlab-ci.yml").read_text()) == {"stages": ["ship"], **own}
        assert {name for job in found.values() for name in job.get(waits, [])} <= set(found)
    assert not [text for text in texts(found) if SHIPS.search(text) or text in {"chart", "smoke"}]


@pytest.mark.slow
def test_the_pipeline_is_one(adopted: Path, answers: dict[str, str | bool]) -> None:
    checks = {
        "gitlab": ["check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", ".gitlab-ci.yml"],
        "github": ["actionlint", ".github/workflows/ci.yml"],
    }
    if check := checks.get(str(answers["ci"])):
        done = subprocess.run(check, cwd=adopted, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_style_asks_for_nothing_that_was_left_out(adopted: Path) -> None:
    done = subprocess.run(["nitpick", "check"], cwd=adopted, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_later_updates_bring_none_of_it(adopted: Path, template: Path, tmp_path: Path) -> None:
    def update(newer: Path) -> str:
        done = twelvefold("rollup", adopted, "--template", newer, "--ref", "HEAD", "--no-lock", "--commit")
        assert done.exit_code == 0, done.output
        return done.output

    assert "Nothing to do" in update(template)
    newer = Path(shutil.copytree(template, tmp_path / "newer"))
    for path in (
        "deploy/chart/templates/newer.yaml",
        "src/<<cookiecutter.package_name>>/newer.py",
        "tests/test_newer.py",
    ):
        write(newer, f"{SERVICE.name}/{path}", "\n")
    write(newer, f"{SERVICE.name}/vendor/chassis/src/chassis/newer.py", "NEWER = True\n")
    edit(newer, f"{SERVICE.name}/Dockerfile", "STOPSIGNAL SIGTERM", "STOPSIGNAL SIGINT")
    for pipeline in newer.rglob("*.gitlab-ci.yml*"):
        if "cookiecutter" in pipeline.name:
            edit(pipeline.parent, pipeline.name, "make image push", "make image push again")
    commit(newer, "Go on")
    before = tree(adopted)
    update(newer)
    changed = {path for path, file in tree(adopted).items() if before.get(path) != file}
    assert {path for path in changed if not path.startswith(".twelvefold/")} == {"vendor/chassis/src/chassis/newer.py"}
    assert "Nothing to do" in update(newer)
    assert git(adopted, "status", "--porcelain") == ""
