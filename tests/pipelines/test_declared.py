"""What a pipeline only declares, and nothing here can execute: services, images, rights, time-outs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from answers import combinations, label
from conftest import Render

SERVICES = {"database": {"postgres": 5432}, "tasks": {"redis": 6379}}
URLS = {"postgres": "DATABASE_URL", "redis": "BROKER_URL"}
RIGHTS = {
    "publish": {"contents": "read", "packages": "write"},
    "scan": {"contents": "read", "packages": "read"},
    "release": {"contents": "write"},
}


def of(ci: str) -> list[dict[str, str | bool]]:
    return [answers for answers in combinations() if answers["ci"] == ci]


def wanted(answers: dict[str, str | bool]) -> dict[str, int]:
    return {name: port for each, ports in SERVICES.items() if answers[each] for name, port in ports.items()}


def loaded(path: Path) -> dict[str, Any]:
    pipeline: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return pipeline


@pytest.mark.parametrize("answers", of("gitlab"), ids=label)
def test_gitlab_starts_what_the_capabilities_ask_for(answers: dict[str, str | bool], rendered: Render) -> None:
    pipeline = loaded(rendered(**answers) / ".gitlab-ci.yml")
    for job in ("test", "smoke"):
        beside = pipeline[pipeline[job]["extends"]] if "extends" in pipeline[job] else {"services": [], "variables": {}}
        assert {service["alias"] for service in beside["services"]} == set(wanted(answers))
        told = {name: urlsplit(value).hostname for name, value in beside["variables"].items() if "://" in value}
        assert set(told.values()) == set(wanted(answers))
        assert {name: told[url] for name, url in URLS.items() if name in wanted(answers)} == {
            name: name for name in URLS if name in wanted(answers)
        }
    others = {name for name, job in pipeline.items() if isinstance(job, dict) and "services" in job}
    assert others <= {".backing-services"}


@pytest.mark.parametrize("answers", of("github"), ids=label)
def test_github_starts_what_the_capabilities_ask_for(answers: dict[str, str | bool], rendered: Render) -> None:
    jobs = loaded(rendered(**answers) / ".github/workflows/ci.yml")["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["target"] == ["test-all", "smoke"]
    assert {name: each["ports"] for name, each in jobs["test"].get("services", {}).items()} == {
        name: [f"{port}:{port}"] for name, port in wanted(answers).items()
    }
    assert set(jobs["test"].get("env", {})) == {url for name, url in URLS.items() if name in wanted(answers)}
    assert {name for name, job in jobs.items() if "services" in job} <= {"test"}


@pytest.mark.parametrize("answers", of("jenkins"), ids=label)
def test_jenkins_starts_what_the_capabilities_ask_for(answers: dict[str, str | bool], rendered: Render) -> None:
    text = (rendered(**answers) / "Jenkinsfile").read_text(encoding="utf-8")
    started = re.findall(r"docker\.image\('(\w+):\d[\w.-]*'\)\.withRun\('[^']*-p 127\.0\.0\.1::(\d+)'", text)
    assert {name: int(port) for name, port in started} == wanted(answers)
    (tests,) = re.findall(r"steps \{ (.*)sh 'make test-all smoke'", text)
    assert set(re.findall(r"with\w+", tests)) == set(re.findall(r"def (with\w+)", text))


def test_each_job_has_a_time_out_and_each_image_a_version(rendered: Render) -> None:
    gitlab = loaded(rendered(ci="gitlab") / ".gitlab-ci.yml")
    jobs = [job for job in gitlab.values() if isinstance(job, dict)]
    images = [
        job["image"]["name"] if isinstance(job["image"], dict) else job["image"] for job in jobs if "image" in job
    ]
    assert len(images) > 3
    assert all(re.search(r":v?\d+\.\d+", image) for image in images)
    assert gitlab["default"]["timeout"] == "15 minutes"
    github = loaded(rendered(ci="github") / ".github/workflows/ci.yml")["jobs"]
    assert {job["timeout-minutes"] for job in github.values()} == {15}
    steps = [step for job in github.values() for step in job["steps"]]
    assert all(re.search(r"@[0-9a-f]{40}$", step["uses"]) for step in steps if "uses" in step)
    jenkins = (rendered(ci="jenkins") / "Jenkinsfile").read_text(encoding="utf-8")
    assert jenkins.count("timeout(time:") == jenkins.count("agent { label")


def test_a_job_of_github_s_may_do_what_it_does_and_no_more(rendered: Render) -> None:
    workflow = loaded(rendered(ci="github") / ".github/workflows/ci.yml")
    assert workflow["permissions"] == {"contents": "read"}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job} == RIGHTS


def test_two_deploys_to_one_environment_wait_for_each_other(rendered: Render) -> None:
    gitlab = loaded(rendered(ci="gitlab") / ".gitlab-ci.yml")
    github = loaded(rendered(ci="github") / ".github/workflows/ci.yml")["jobs"]
    for environment in ("staging", "production"):
        assert (gitlab[environment]["resource_group"], gitlab[environment]["interruptible"]) == (environment, False)
        assert github[environment]["concurrency"] == environment
