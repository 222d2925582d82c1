"""The GitHub workflow, executed by act: each job on this machine, in a copy of the repository.

What act cannot have here has a stand-in: the actions of others (there is no network to fetch them; checking out is
act's own), and what runs in containers (the backing services).
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from twelvefold_answers import weekly

from commands import Done, run
from conftest import Render
from desk import (
    BREAKS,
    SECRET,
    TAGGED,
    WRONG_TAGS,
    Break,
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
from environments import CHASSIS_VERSION
from required import require_program

pytestmark = pytest.mark.slow

WORKFLOW = ".github/workflows/ci.yml"
UPDATE = ".github/workflows/update.yml"
# act 0.2 may lose what a step says last: on a busy machine it has not read all when the step's process ends.
LINGERING = "bash -c 'bash -e $0; code=$?; sleep 0.5; exit $code' {0}"
STAND_IN = "runs: { using: composite, steps: [{ run: echo a stand-in, shell: bash }] }\n"
CHECKED = {"release-check", "lint", "types", "style", "build", "chart", "audit licences secrets", "test-all", "smoke"}
SHIPPED = {*CHECKED, "publish", "scan"}
EVENTS = {
    "a pull request": ("pull_request", "refs/pull/7/merge", CHECKED),
    "a schedule": ("schedule", "refs/heads/main", CHECKED),
    "main": ("push", "refs/heads/main", {*SHIPPED, "staging"}),
    "develop": ("push", "refs/heads/develop", SHIPPED),
    "a release branch": ("push", "refs/heads/release/1.2", SHIPPED),
    "a tag": ("push", "refs/tags/1.2.3", {*SHIPPED, "release", "production"}),
}
# Of the job, and its target where the job has several → the target that fails. What breaks it: test_targets.py.
JOBS = {
    ("release-check", ""): "release-check",
    ("check", "lint"): "lint",
    ("check", "types"): "types",
    ("check", "style"): "style",
    ("check", "build"): "build",
    ("check", "chart"): "chart",
    ("check", "audit licences secrets"): "audit",
    ("test", "test-all"): "test-all",
    ("test", "smoke"): "smoke",
    ("publish", ""): "image",
    ("scan", ""): "scan",
    ("release", ""): "build",
    ("staging", ""): "deploy",
    ("production", ""): "deploy",
}


def github(service: Path, event: str, ref: str, *arguments: str, workflow: str = WORKFLOW) -> Done:
    """Run a workflow of `service` as GitHub would at this event."""
    folder = service.parent
    said_by_github = {"ref": ref, "repository": {"default_branch": "main"}}
    (folder / "event.json").write_text(json.dumps(said_by_github), encoding="utf-8")
    (folder / "action").mkdir(exist_ok=True)
    (folder / "action/action.yml").write_text(STAND_IN, encoding="utf-8")
    text = (service / workflow).read_text(encoding="utf-8")
    actions = set(re.findall(r"uses: (\S+)", text))
    own = ["--platform=ubuntu-24.04=-self-hosted", "--action-offline-mode", "--no-cache-server", "--json"]
    replaced = [f"--local-repository={action}={folder / 'action'}" for action in actions]
    given = [f"--env={name}={value}" for name, value in {**shared(), **at_the_forge(service)}.items()]
    secrets = [f"--secret=GITHUB_TOKEN={SECRET}", f"--secret=KUBECONFIG={SECRET}"]
    said = ["--workflows", workflow, "--eventpath", str(folder / "event.json")]
    command: list[str | Path] = [require_program("act"), event, *said, *own, *replaced, *given, *secrets, *arguments]
    environment = {**surroundings(folder / "bin"), "XDG_CACHE_HOME": str(folder / "cache")}  # copies of the repository
    return run(*command, cwd=service, env=environment)


def outcomes(done: Done) -> dict[str, str]:
    """Each job that ran, by its target where it has several → success or failure."""
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    ended = [line for line in lines if "jobResult" in line]
    return {(line["matrix"] or {}).get("target", line["jobID"]): line["jobResult"] for line in ended}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, rendered: Render) -> Path:
    folder = tmp_path_factory.mktemp("github")
    programs(folder / "bin")
    copy = shutil.copytree(rendered(ci="github"), folder / "my-service")
    return repository(Path(copy), "git@github.com:my-team/my-service.git")


@pytest.fixture
def copy(service: Path, tmp_path: Path) -> Path:
    return copied(service, tmp_path)


@pytest.mark.parametrize("event", EVENTS)
def test_which_jobs_run(event: str, copy: Path) -> None:
    program(copy.parent / "bin/make")  # does nothing, so that only the workflow's conditions decide
    name, ref, jobs = EVENTS[event]
    done = github(copy, name, ref)
    assert outcomes(done) == dict.fromkeys(jobs, "success"), done.stdout + done.stderr


def test_the_update_runs_each_week_and_by_hand_alone(service: Path) -> None:
    on = yaml.safe_load((service / UPDATE).read_text(encoding="utf-8"))[True]
    assert on == {"schedule": [{"cron": weekly("my-service")}], "workflow_dispatch": None}


def test_pushes_to_feature_branches_start_nothing(service: Path) -> None:
    """act leaves these filters out; a feature branch has its pull request's run."""
    on = yaml.safe_load((service / WORKFLOW).read_text(encoding="utf-8"))[True]
    assert set(on) == {"pull_request", "push", "schedule"}
    assert on["push"]["branches"] == ["main", "develop", "release/**", "hotfix/**"]
    assert on["push"]["tags"] == ["[0-9]+.[0-9]+.[0-9]+*"]


def test_on_main_every_job_passes(service: Path) -> None:
    name, ref, jobs = EVENTS["main"]
    done = github(service, name, ref)
    assert outcomes(done) == dict.fromkeys(jobs, "success"), done.stdout + done.stderr
    assert (service.parent / "bin/read").read_text(encoding="utf-8") == f"{SECRET}\n"
    assert SECRET not in done.stdout + done.stderr
    called = (service.parent / "bin/called").read_text(encoding="utf-8")
    assert re.search(r"^docker push ghcr\.io/my-team/my-service:[0-9a-f]{40}$", called, re.MULTILINE)
    assert re.search(r"^trivy image .* ghcr\.io/my-team/my-service:[0-9a-f]{40}$", called, re.MULTILINE)
    assert re.search(r"deploy/values.staging.yaml --set-string image.tag=[0-9a-f]{40} ", called)


def test_a_tag_is_released_and_deployed(copy: Path) -> None:
    _, ref, jobs = EVENTS["a tag"]
    only(copy, jobs - CHECKED)
    done = github(copy, "push", ref)
    assert outcomes(done) == dict.fromkeys(jobs - CHECKED, "success"), done.stdout + done.stderr
    called = (copy.parent / "bin/called").read_text(encoding="utf-8")
    assert "docker push ghcr.io/my-team/my-service:1.2.3\n" in called
    assert "deploy/values.production.yaml --set-string image.tag=1.2.3 " in called
    vendored = sorted(f"{path.name.replace('-', '_')}-{CHASSIS_VERSION}+vendored" for path in copy.glob("vendor/*/"))
    wheels = [f"twelvefold_{name}-py3-none-any.whl" for name in vendored]
    shipped = ("my_service-1.2.3-py3-none-any.whl", "notes.md", "sbom.cdx.json", *wheels)
    (called_with,) = [line for line in called.splitlines() if line.startswith("gh release create")]
    command, *attached = called_with.split(" dist/notes.md ")[0], *called_with.split(" dist/notes.md ", 1)[1].split()
    assert command == "gh release create 1.2.3 --verify-tag --notes-file"
    assert sorted(attached) == sorted(f"dist/{name}" for name in shipped)


def test_no_job_is_without_a_break(service: Path) -> None:
    workflow = yaml.safe_load((service / WORKFLOW).read_text(encoding="utf-8"))
    targets = {name: job.get("strategy", {"matrix": {"target": [""]}}) for name, job in workflow["jobs"].items()}
    assert {(name, target) for name, each in targets.items() for target in each["matrix"]["target"]} == set(JOBS)


@pytest.mark.parametrize(("job", "target"), JOBS)
def test_a_job_fails_if_its_target_does(job: str, target: str, copy: Path) -> None:
    fails(copy, job, target, fails_in_make(JOBS[job, target]))


def test_a_release_that_the_forge_refuses_fails(copy: Path) -> None:
    program(copy.parent / "bin/make")
    fails(copy, "release", "", BREAKS["release"])


@pytest.mark.parametrize(("job", "target", "broken"), [("check", "lint", "lint"), ("publish", "", "image")])
def test_so_it_does_with_the_make_and_the_tools_of_the_service(job: str, target: str, broken: str, copy: Path) -> None:
    fails(copy, job, target, BREAKS[broken])


def fails(service: Path, job: str, target: str, broken: Break) -> None:
    break_it(service, broken)
    push(service, *TAGGED)
    only(service, {job})
    chosen = [f"--matrix=target:{target}"] if target else []
    is_of_a_tag = job in {"release-check", "release", "production"}
    done = github(service, "push", "refs/tags/1.2.3" if is_of_a_tag else "refs/heads/main", *chosen)
    assert outcomes(done) == {target or job: "failure"}, done.stdout + done.stderr
    assert broken.said in done.stdout, done.stdout


def only(service: Path, jobs: set[str]) -> None:
    """Leave `jobs` in the workflow: act would run those that they need as well."""
    workflow = yaml.safe_load((service / WORKFLOW).read_text(encoding="utf-8"))
    workflow["on"] = workflow.pop(True)  # YAML 1.1 takes "on" for a boolean
    workflow["defaults"] = {"run": {"shell": LINGERING}}
    workflow["jobs"] = {job: each for job, each in workflow["jobs"].items() if job in jobs}
    for job in workflow["jobs"].values():
        job["needs"] = [needed for needed in job.get("needs", []) if needed in jobs]
    (service / WORKFLOW).write_text(yaml.safe_dump(workflow), encoding="utf-8")


def test_nothing_is_shipped_when_a_check_failed(copy: Path) -> None:
    program(copy.parent / "bin/make")  # only the order of jobs is asked about
    refused("chart").do(copy)
    done = github(copy, "push", "refs/heads/main")
    assert done.returncode != 0
    ended = outcomes(done)  # act calls a job failed, too, when another one of its matrix failed
    assert (set(ended), ended["chart"]) == (CHECKED, "failure"), done.stdout + done.stderr


def test_a_tag_on_main_starts_all_of_its_jobs(copy: Path) -> None:
    only_the_release_is_checked(copy)
    _, ref, jobs = EVENTS["a tag"]
    done = github(copy, "push", ref)
    assert outcomes(done) == dict.fromkeys(jobs, "success"), done.stdout + done.stderr


@pytest.mark.parametrize("wrong", WRONG_TAGS)
def test_a_wrong_tag_ends_its_run_before_anything_else_begins(wrong: str, copy: Path) -> None:
    only_the_release_is_checked(copy)
    WRONG_TAGS[wrong].do(copy)
    done = github(copy, "push", "refs/tags/1.2.3")
    assert done.returncode != 0
    assert outcomes(done) == {"release-check": "failure"}, done.stdout + done.stderr
    assert WRONG_TAGS[wrong].said in done.stdout
    assert made(copy) == {"release-check"}


def test_a_tag_that_was_moved_meanwhile_is_not_deployed_by_its_old_run(copy: Path) -> None:
    only_the_release_is_checked(copy)
    WRONG_TAGS["that was moved"].do(copy)
    only(copy, {"production"})
    assert outcomes(github(copy, "push", "refs/tags/1.2.3")) == {"production": "failure"}
    assert made(copy) == {"release-check"}


def test_every_job_waits_for_the_check_of_the_tag(service: Path) -> None:
    jobs = yaml.safe_load((service / WORKFLOW).read_text(encoding="utf-8"))["jobs"]
    first = {name for name, job in jobs.items() if not job.get("needs")}
    assert first == {"release-check"}
