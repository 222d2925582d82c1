"""What a team adds to its pipeline and hooks survives an update; what it deletes of the template's comes back."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import run
from conftest import Render, commit
from environments import SERVICE, without_project
from histories import edit, twelvefold
from trees import tree

PIPELINES = {"gitlab": ".gitlab-ci.yml", "github": ".github/workflows/ci.yml"}
# Of the CI → what the next version of the template says instead, and what it has besides.
NEWER = {
    "gitlab": ("script: [make sbom]", "script: [make sbom sbom-check]", "\nlicences:\n  script: [make licences]\n"),
    "github": (
        "run: make scan sbom",
        "run: make scan sbom sbom-check",
        "\n  licences:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: make licences\n",
    ),
}
TEAM_S = {
    "gitlab": "\n# Ours.\ncontract:\n  stage: check\n  script: [make contract]\n",
    "github": "\n  # Ours.\n  contract:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: make contract\n",
}
HOOK = """
  # Ours.
  - repo: https://example.com/spelling
    rev: v1
    hooks:
      - id: spelling
"""


@pytest.fixture
def newer(template: Path, tmp_path: Path) -> Path:
    """The template, with a change and a new job in each pipeline, and one more hook."""
    copy = Path(shutil.copytree(template, tmp_path / "newer"))
    for ci, (old, new, added) in NEWER.items():
        [file] = (path for path in copy.rglob("*ci.yml*") if f'== "{ci}"' in path.name)
        edit(copy, str(file.relative_to(copy)), old, new)
        file.write_text(file.read_text(encoding="utf-8") + added, encoding="utf-8")
    hooks = copy / SERVICE.name / ".pre-commit-config.yaml"
    hook = "      - { id: new, name: new, entry: 'true', language: system }\n"
    hooks.write_text(hooks.read_text(encoding="utf-8") + hook, encoding="utf-8")
    commit(copy, "More jobs, and a hook")
    return copy


def update(service: Path, template: Path, exit_code: int = 0) -> str:
    commit(service, "Ours")
    done = twelvefold("rollup", service, "--template", template, "--ref", "HEAD", "--no-lock")
    assert done.exit_code == exit_code, done.output
    return done.output


def jobs_of(ci: str, text: str) -> dict[str, Any]:
    pipeline: dict[str, Any] = yaml.safe_load(text)
    return pipeline["jobs"] if ci == "github" else pipeline


def append(service: Path, path: str, text: str) -> None:
    file = service / path
    file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")


@pytest.mark.parametrize("ci", PIPELINES)
def test_the_team_s_jobs_and_hooks_survive(ci: str, newer: Path, fresh: Render) -> None:
    service = fresh(ci=ci)
    append(service, PIPELINES[ci], TEAM_S[ci])
    append(service, ".pre-commit-config.yaml", HOOK)
    if ci == "gitlab":
        edit(service, PIPELINES[ci], "stages: [check, test,", "stages: [check, ours, test,")
        edit(service, PIPELINES[ci], "timeout: 15 minutes", "timeout: 40 minutes")
    update(service, newer)
    text = (service / PIPELINES[ci]).read_text(encoding="utf-8")
    jobs = jobs_of(ci, text)
    assert TEAM_S[ci].strip("\n") in text
    assert {"contract", "licences"} <= set(jobs)
    assert "sbom-check" in text
    if ci == "gitlab":
        assert jobs["stages"] == ["check", "ours", "test", "build", "scan", "release", "deploy", "update"]
        assert jobs["default"]["timeout"] == "40 minutes"
    hooks = (service / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert HOOK.strip("\n") in hooks
    assert [hook["id"] for repo in yaml.safe_load(hooks)["repos"] for hook in repo["hooks"]][-2:] == ["new", "spelling"]
    after = tree(service)
    update(service, newer)
    assert tree(service) == after


@pytest.mark.parametrize("ci", PIPELINES)
def test_a_job_and_a_hook_that_the_team_deleted_come_back_and_are_told_of(
    ci: str, template: Path, fresh: Render
) -> None:
    service = fresh(ci=ci)
    text = (service / PIPELINES[ci]).read_text(encoding="utf-8")
    indent = {"gitlab": "", "github": "  "}[ci]
    start, end = (text.index(f"\n{indent}{job}:\n") for job in ("scan", "release"))
    (service / PIPELINES[ci]).write_text(text[:start] + text[end:], encoding="utf-8")
    assert "scan" not in jobs_of(ci, (service / PIPELINES[ci]).read_text(encoding="utf-8"))
    hooks = (service / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    start, end = hooks.index("      - id: hadolint"), hooks.index("      - id: gitleaks")
    (service / ".pre-commit-config.yaml").write_text(hooks[:start] + hooks[end:], encoding="utf-8")
    said = update(service, template, exit_code=2)
    assert "scan" in said
    assert "hadolint" in said
    assert "scan" in jobs_of(ci, (service / PIPELINES[ci]).read_text(encoding="utf-8"))
    assert "id: hadolint" in (service / ".pre-commit-config.yaml").read_text(encoding="utf-8")


def test_what_nitpick_mended_is_in_step_at_the_next_update(newer: Path, fresh: Render) -> None:
    service = fresh()
    edit(service, "pyproject.toml", "strict = true", "strict = false")
    hooks = (service / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    was = yaml.safe_load(hooks)
    start, end = hooks.index("      - id: hadolint"), hooks.index("      - id: gitlab-ci")
    (service / ".pre-commit-config.yaml").write_text(hooks[:start] + hooks[end:], encoding="utf-8")
    run(Path(sys.executable).parent / "nitpick", "fix", cwd=service, env=without_project())
    said = update(service, newer)
    # nitpick gave the hook an entry of its own; the update puts it back among the others.
    assert "moved repos.local (again).hooks.hadolint to the others" in said
    assert "put back" not in said
    [repo] = yaml.safe_load((service / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [hook["id"] for hook in repo["hooks"]] == [*(hook["id"] for hook in was["repos"][0]["hooks"]), "new"]


def test_the_style_follows_the_template(template: Path, fresh: Render, tmp_path: Path) -> None:
    newer = Path(shutil.copytree(template, tmp_path / "newer"))
    edit(newer, f"{SERVICE.name}/pyproject.toml", "fail_under = 80", "fail_under = 90")
    commit(newer, "A higher floor")
    service = fresh()
    update(service, newer)
    assert "fail_under = 90\n" in (service / ".nitpick-style.toml").read_text(encoding="utf-8")
    assert "fail_under = 90\n" in (service / "pyproject.toml").read_text(encoding="utf-8")
