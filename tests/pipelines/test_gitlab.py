"""The GitLab pipeline, executed by gitlab-ci-local: each job in a shell, in a copy of the repository."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml

from commands import Done, run
from conftest import Render
from desk import (
    BREAKS,
    SECRET,
    TAGGED,
    WRONG_TAGS,
    Break,
    append,
    at_the_forge,
    break_it,
    copied,
    fails_in_make,
    made,
    only_the_release_is_checked,
    program,
    programs,
    push,
    refused,
    repository,
    shared,
    surroundings,
)
from environments import TEMPLATE
from required import require_program

pytestmark = pytest.mark.slow

CHECKED = {"lint", "type-check", "style", "test", "smoke", "build", "chart", "audit"}
SHIPPED = {*CHECKED, "publish", "sbom", "scan"}
TAG = {"CI_COMMIT_BRANCH": "", "CI_COMMIT_TAG": "1.2.3"}
EVENTS = {
    "a merge request": ({"CI_PIPELINE_SOURCE": "merge_request_event", "CI_COMMIT_BRANCH": ""}, CHECKED),
    "a schedule": ({"CI_PIPELINE_SOURCE": "schedule"}, {*CHECKED, "update"}),
    "a schedule of another branch": ({"CI_PIPELINE_SOURCE": "schedule", "CI_COMMIT_BRANCH": "develop"}, CHECKED),
    "a run by hand": ({"CI_PIPELINE_SOURCE": "web"}, {*SHIPPED, "update"}),
    "a run by the API": ({"CI_PIPELINE_SOURCE": "api"}, {*SHIPPED, "update"}),
    "main": ({}, {*SHIPPED, "staging"}),
    "develop": ({"CI_COMMIT_BRANCH": "develop"}, SHIPPED),
    "a release branch": ({"CI_COMMIT_BRANCH": "release/1.2"}, SHIPPED),
    "a tag": (TAG, {*SHIPPED, "release-check", "notes", "release", "production"}),
    "a schedule of a tag": ({**TAG, "CI_PIPELINE_SOURCE": "schedule"}, CHECKED),
    "a run by hand of what somebody calls 1.2.3": (
        {"CI_PIPELINE_SOURCE": "web", "TAG": "1.2.3"},
        {*SHIPPED, "release-check", "update"},
    ),
}
# Of the job's name → the target that fails. What breaks it: test_targets.py.
JOBS = {
    **{job: job for job in CHECKED},
    "release-check": "release-check",
    "test": "test-all",
    "type-check": "types",
    "publish": "image",
    "sbom": "sbom",
    "scan": "scan",
    "notes": "notes",
    "staging": "deploy",
    "production": "deploy",
}
# GitLab itself makes the release: what the job runs by itself cannot fail. Of the update, test_update.py tells.
ELSEWHERE = {"release", "update"}


def gitlab(service: Path, *arguments: str, **variables: str) -> Done:
    """Run the pipeline of `service`, or the jobs named, as GitLab would with these variables."""
    program = require_program("gitlab-ci-local", TEMPLATE / ".cache/npm/node_modules/.bin/gitlab-ci-local")
    registry = {"CI_REGISTRY_USER": "robot", "CI_REGISTRY_PASSWORD": SECRET}
    known_here = {**shared(), **at_the_forge(service), **registry, **variables}
    given = [f"--variable={name}={value}" for name, value in known_here.items()]
    isolated = ["--force-shell-executor", "--shell-isolation", "--no-artifacts-to-source"]
    known = f"--ignore-predefined-vars={','.join({**registry, **variables})}"
    return run(program, *isolated, *given, known, *arguments, cwd=service, env=surroundings(service.parent / "bin"))


def outcomes(done: Done) -> dict[str, str]:
    """Each job that ran → PASS or FAIL, as the summary at the end has it."""
    return dict(reversed(found) for found in re.findall(r"^ (PASS|FAIL|WARN)\s+(\S+)", done.stdout, re.MULTILINE))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, rendered: Render) -> Path:
    folder = tmp_path_factory.mktemp("gitlab")
    programs(folder / "bin")
    copy = shutil.copytree(rendered(ci="gitlab"), folder / "my-service")
    return repository(Path(copy), "git@gitlab.com:my-team/my-service.git")


@pytest.fixture
def copy(service: Path, tmp_path: Path) -> Path:
    return copied(service, tmp_path, ".gitlab-ci-local")


@pytest.mark.parametrize("event", EVENTS)
def test_which_jobs_run(event: str, copy: Path) -> None:
    variables, jobs = EVENTS[event]
    by_hand = {"production", *(["update"] if variables.get("CI_PIPELINE_SOURCE") != "schedule" else [])}
    there_is_one = {"pipeline": "on_success"}
    jobs_when = {name: "manual" if name in by_hand else "on_success" for name in jobs}
    assert with_its_pipeline(copy, **variables) == {**jobs_when, **there_is_one}


@pytest.mark.parametrize(
    "variables", [{"CI_COMMIT_BRANCH": "feature/x"}, {"CI_COMMIT_TAG": "x", "CI_COMMIT_BRANCH": ""}]
)
def test_a_feature_branch_has_its_merge_request_s_pipeline_and_no_other(variables: dict[str, str], copy: Path) -> None:
    assert "pipeline" not in with_its_pipeline(copy, **variables)


def with_its_pipeline(service: Path, **variables: str) -> dict[str, str]:
    """The jobs that run → when. `pipeline` is one if there is a pipeline at all.

    What `workflow` says is left out by gitlab-ci-local: here its rules are those of that job, which it evaluates.
    """
    rules = yaml.safe_load((service / ".gitlab-ci.yml").read_text(encoding="utf-8"))["workflow"]["rules"]
    append(".gitlab-ci.yml", "\n" + yaml.safe_dump({"pipeline": {"script": ["true"], "rules": rules}}))(service)
    jobs = json.loads(gitlab(service, "--list-json", **variables).stdout)
    return {job["name"]: job["when"] for job in jobs if job["when"] != "never"}


def test_on_main_every_job_passes(service: Path) -> None:
    done = gitlab(service)
    assert outcomes(done) == dict.fromkeys(EVENTS["main"][1], "PASS"), done.stdout + done.stderr
    assert (service.parent / "bin/read").read_text(encoding="utf-8") == f"{SECRET}\n"
    assert SECRET not in done.stdout + done.stderr
    assert re.search(r"^buildah push \S+/my-service:[0-9a-f]{8}$", called(service), re.MULTILINE)
    assert re.search(r"^trivy image .* \S+/my-service:[0-9a-f]{8}$", called(service), re.MULTILINE)
    assert re.search(r"deploy/values.staging.yaml --set-string image.tag=[0-9a-f]{8} ", called(service))


def test_a_tag_is_released_and_deployed_when_somebody_says_so(service: Path) -> None:
    variables, jobs = EVENTS["a tag"]
    shipped = sorted(jobs - CHECKED)
    done = gitlab(service, *shipped, TAG="1.2.3", **variables)
    assert outcomes(done) == dict.fromkeys(shipped, "PASS"), done.stdout + done.stderr
    assert re.search(r"> - Faster\.$", done.stdout, re.MULTILINE)
    assert "deploy/values.production.yaml --set-string image.tag=1.2.3" in called(service)


def called(service: Path) -> str:
    """How the programs of a job were called."""
    return (service.parent / "bin/called").read_text(encoding="utf-8")


def test_no_job_is_without_a_break() -> None:
    jobs = set().union(*(jobs for _, jobs in EVENTS.values()))
    assert {*JOBS, *ELSEWHERE} == jobs


@pytest.mark.parametrize(("job", "target"), sorted(JOBS.items()))
def test_a_job_fails_if_its_target_does(job: str, target: str, copy: Path) -> None:
    fails(copy, job, fails_in_make(target))


@pytest.mark.parametrize(("job", "broken"), [("lint", "lint"), ("publish", "image")])
def test_so_it_does_with_the_make_and_the_tools_of_the_service(job: str, broken: str, copy: Path) -> None:
    fails(copy, job, BREAKS[broken])


def fails(service: Path, job: str, broken: Break) -> None:
    break_it(service, broken)
    push(service, *TAGGED)
    variables = TAG if job in {"notes", "production", "release-check"} else {}
    done = gitlab(service, job, **variables, TAG="1.2.3")
    assert outcomes(done) == {job: "FAIL"}, done.stdout + done.stderr
    assert broken.said in done.stdout + done.stderr, done.stdout + done.stderr


def test_nothing_is_shipped_when_a_check_failed(copy: Path) -> None:
    program(copy.parent / "bin/make")  # only the order of jobs is asked about
    refused("chart").do(copy)
    done = gitlab(copy)
    assert done.returncode != 0
    assert outcomes(done) == {**dict.fromkeys(CHECKED, "PASS"), "chart": "FAIL"}, done.stdout


def test_a_tag_on_main_starts_all_of_its_jobs(copy: Path) -> None:
    only_the_release_is_checked(copy)
    variables, jobs = EVENTS["a tag"]
    done = gitlab(copy, TAG="1.2.3", **variables)
    assert outcomes(done) == dict.fromkeys(jobs - {"production"}, "PASS"), done.stdout + done.stderr
    assert outcomes(gitlab(copy, "production", TAG="1.2.3", **variables)) == {"production": "PASS"}


@pytest.mark.parametrize("wrong", WRONG_TAGS)
def test_a_wrong_tag_ends_its_pipeline_before_anything_else_begins(wrong: str, copy: Path) -> None:
    only_the_release_is_checked(copy)
    append(".gitlab-ci.yml", "\nours:\n  stage: check\n  script: [make ours]\n")(copy)
    WRONG_TAGS[wrong].do(copy)
    for variables in (TAG, {"CI_PIPELINE_SOURCE": "web"}):
        done = gitlab(copy, TAG="1.2.3", **variables)
        assert done.returncode != 0
        assert outcomes(done) == {"release-check": "FAIL"}, done.stdout + done.stderr
        assert WRONG_TAGS[wrong].said in done.stdout + done.stderr
    assert made(copy) == {"release-check"}


def test_a_tag_that_was_moved_meanwhile_is_not_deployed_by_its_old_pipeline(copy: Path) -> None:
    only_the_release_is_checked(copy)
    WRONG_TAGS["that was moved"].do(copy)
    done = gitlab(copy, "production", TAG="1.2.3", **TAG)
    assert outcomes(done) == {"production": "FAIL"}, done.stdout + done.stderr
    assert made(copy) == {"release-check"}
