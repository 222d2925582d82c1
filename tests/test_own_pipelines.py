"""The template's own pipelines have every server that tests need, no job of theirs does without, and each keeps how
long its tests took."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from conftest import git
from environments import SERVICE, TEMPLATE
from required import PORTS, SERVICES

GITHUB, GITLAB = (".github/workflows/ci.yml", ".github/workflows/newest.yml"), ".gitlab-ci.yml"
FILES = (*GITHUB, GITLAB, ".ci/run", "Makefile")
IMAGES = {"amqp": "rabbitmq", "nats": "nats", "postgresql": "postgres", "redis": "redis"}
# What runs tests that may not be skipped for want of a server.
NEEDY = re.compile(r"\.ci/run|make test-(slow|deep)")
DEFAULT = f'export {SERVICES}="${{{SERVICES}-1}}"'
Job = dict[str, Any]


def loaded(path: str) -> Job:
    pipeline: Job = yaml.safe_load((TEMPLATE / path).read_text(encoding="utf-8"))
    return pipeline


def github_jobs() -> dict[str, Job]:
    return {f"{path}: {name}": job for path in GITHUB for name, job in loaded(path)["jobs"].items()}


def gitlab_jobs() -> dict[str, Job]:
    """Each job, with what it extends."""
    pipeline = loaded(GITLAB)
    jobs = {name: job for name, job in pipeline.items() if isinstance(job, dict) and "script" in job}
    bases = {name: pipeline[job["extends"]] if "extends" in job else {} for name, job in jobs.items()}
    return {
        name: {**bases[name], **job, "variables": {**bases[name].get("variables", {}), **job.get("variables", {})}}
        for name, job in jobs.items()
    }


def needy(jobs: dict[str, Job]) -> dict[str, Job]:
    """Those that run what needs servers."""
    said = {name: str(job.get("steps", job.get("script"))) for name, job in jobs.items()}
    return {name: job for name, job in jobs.items() if NEEDY.search(said[name])}


def lacks_at_github(job: Job) -> list[str]:
    """What a job of GitHub's lacks of the servers, each of which is at the port that tests ask."""
    services = {service["image"].partition(":")[0]: service for service in job.get("services", {}).values()}
    lacks = [scheme for scheme, image in IMAGES.items() if image not in services]
    for scheme in IMAGES.keys() - lacks:
        service, port = services[IMAGES[scheme]], PORTS[scheme]
        if service.get("ports") != [f"{port}:{port}"]:
            lacks.append(f"{scheme}: port")
        lacks += of_image(scheme, service)
    if services.get("postgres", {}).get("env") != {"POSTGRES_HOST_AUTH_METHOD": "trust"}:
        lacks.append("postgresql: trust")
    return sorted(lacks)


def lacks_at_gitlab(job: Job) -> list[str]:
    """The same of GitLab's, where each server is a host of its own."""
    services = {service["alias"]: service for service in job.get("services", [])}
    variables = job["variables"]
    lacks = [scheme for scheme, image in IMAGES.items() if image not in services]
    for scheme in IMAGES.keys() - lacks:
        lacks += of_image(scheme, {**services[IMAGES[scheme]], "image": services[IMAGES[scheme]]["name"]})
        url = urlsplit(variables.get(f"TEST_{scheme.upper()}_URL", ""))
        if (url.scheme, url.hostname, url.port) != (scheme, IMAGES[scheme], PORTS[scheme]):
            lacks.append(f"{scheme}: address")
    if variables.get("POSTGRES_HOST_AUTH_METHOD") != "trust":
        lacks.append("postgresql: trust")
    return sorted(lacks)


def of_image(scheme: str, service: Job) -> list[str]:
    lacks = [] if re.fullmatch(rf"{IMAGES[scheme]}:\d+[\w.-]*", service["image"]) else [f"{scheme}: version"]
    if scheme == "nats" and "-js" not in service.get("command", ""):
        lacks.append("nats: JetStream")
    return lacks


def test_each_server_that_tests_ask_for_is_known_here() -> None:
    assert IMAGES.keys() == PORTS.keys()


def test_each_job_that_needs_servers_has_all_of_them() -> None:
    at_github, at_gitlab = needy(github_jobs()), needy(gitlab_jobs())
    assert (len(at_github), len(at_gitlab)) == (2, 2)
    assert {name: lacks_at_github(job) for name, job in at_github.items()} == {name: [] for name in at_github}
    assert {name: lacks_at_gitlab(job) for name, job in at_gitlab.items()} == {name: [] for name in at_gitlab}


@pytest.mark.parametrize(
    ("harm", "lacking"),
    [
        *((lambda job, name=name: job["services"].pop(name), scheme) for scheme, name in IMAGES.items()),
        (lambda job: job["services"]["nats"].pop("command"), "nats: JetStream"),
        (lambda job: job["services"]["redis"].update(ports=["6380:6379"]), "redis: port"),
        (lambda job: job["services"]["redis"].update(image="redis:latest"), "redis: version"),
        (lambda job: job["services"]["postgres"].pop("env"), "postgresql: trust"),
    ],
)
def test_a_server_that_github_lacks_is_noticed(harm: Callable[[Job], object], lacking: str) -> None:
    (job,) = [copy.deepcopy(job) for name, job in needy(github_jobs()).items() if name.startswith(GITHUB[0])]
    harm(job)
    assert lacking in lacks_at_github(job)


@pytest.mark.parametrize("number", range(len(IMAGES)))
def test_a_server_that_gitlab_lacks_is_noticed(number: int) -> None:
    job = copy.deepcopy(needy(gitlab_jobs())["check"])
    gone = job["services"].pop(number)["alias"]
    assert lacks_at_gitlab(job) == [scheme for scheme, image in IMAGES.items() if image == gone]


@pytest.mark.parametrize(
    ("harm", "lacking"),
    [
        (lambda job: job["variables"].pop("TEST_AMQP_URL"), "amqp: address"),
        (lambda job: job["variables"].update(TEST_NATS_URL="nats://127.0.0.1:4222"), "nats: address"),
        (lambda job: job["variables"].pop("POSTGRES_HOST_AUTH_METHOD"), "postgresql: trust"),
    ],
)
def test_an_address_that_gitlab_does_not_tell_is_noticed(harm: Callable[[Job], object], lacking: str) -> None:
    job = copy.deepcopy(needy(gitlab_jobs())["check"])
    harm(job)
    assert lacks_at_gitlab(job) == [lacking]


def allowances(text: str) -> list[str]:
    """Lines that let tests go without servers: those that say of the variable anything but 1."""
    lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines()]
    required = re.compile(rf"""["']?{SERVICES}["']?\s*[:=]\s*(["']?)1\1""")
    return [line for line in lines if SERVICES in line and line != DEFAULT and not required.fullmatch(line)]


def test_no_pipeline_lets_tests_go_without_servers() -> None:
    texts = {path: (TEMPLATE / path).read_text(encoding="utf-8") for path in FILES}
    assert {path: allowances(text) for path, text in texts.items()} == {path: [] for path in FILES}
    assert DEFAULT in texts[".ci/run"].splitlines()


@pytest.mark.parametrize(
    "line",
    [
        f'{SERVICES}: "0"',
        f"{SERVICES}: 0",
        f"{SERVICES}: '0'",
        f"{SERVICES}: no",
        f"{SERVICES}:",
        f'"{SERVICES}": "0"',
        f"env: {{ {SERVICES}: 0 }}",
        f"- {SERVICES}=0 .ci/run",
        f"run: sudo env {SERVICES}= .ci/run",
        f"unset {SERVICES}",
        f'export {SERVICES}="${{{SERVICES}-0}}"',
        f'echo "{SERVICES}=0" >>"$GITHUB_ENV"',
    ],
)
def test_each_way_to_let_them_is_noticed(line: str) -> None:
    assert allowances(f"jobs:\n  {line} # {SERVICES}=1\n") == [line]


def test_where_the_servers_are_stands_in_one_place() -> None:
    """Else a pipeline could not tell: with GitLab they are hosts of their own."""
    listed = git(TEMPLATE, "ls-files", "--cached", "--others", "--exclude-standard", "tests/*.py").splitlines()
    told = re.compile(rf"(127\.0\.0\.1|localhost):({'|'.join(map(str, PORTS.values()))})\b")
    places = {path for path in listed if (TEMPLATE / path).is_file() and told.search((TEMPLATE / path).read_text())}
    assert places == {"tests/required.py", "tests/test_own_pipelines.py"}


# What writes a report of how long its tests took; with ARGS, make test writes none.
REPORTING = re.compile(r"\.ci/run|^make test(-\w+)?$", re.MULTILINE)
REPORTS = ".cache/reports/"
OF_SERVICES = '<% if cookiecutter.ci == "github" %>ci.yml<% endif %>'


def reporting(jobs: dict[str, Job]) -> dict[str, Job]:
    return {
        name: job
        for name, job in jobs.items()
        if any(REPORTING.search(line if isinstance(line, str) else line.get("run", "")) for line in steps(job))
    }


def steps(job: Job) -> list[Any]:
    found: list[Any] = job["steps"] if "steps" in job else job["script"]
    return found


def keeps_at_github(job: Job) -> bool:
    """Whether a job of GitHub's keeps the reports, red or green, by the action that services have."""
    kept = {"path": REPORTS, "include-hidden-files": True}
    return any(
        step.get("uses", "").startswith("actions/upload-artifact@")
        and step.get("if") == "always()"
        and kept.items() <= step["with"].items()
        and step["uses"] in (SERVICE / ".github/workflows" / OF_SERVICES).read_text(encoding="utf-8")
        for step in steps(job)
    )


def keeps_at_gitlab(job: Job) -> bool:
    kept = job.get("artifacts", {})
    return (kept.get("when"), kept.get("paths"), kept.get("reports")) == (
        "always",
        [REPORTS],
        {"junit": f"{REPORTS}*.xml"},
    )


def test_each_job_keeps_how_long_its_tests_took() -> None:
    at_github, at_gitlab = reporting(github_jobs()), reporting(gitlab_jobs())
    names = [f"{GITHUB[0]}: check", f"{GITHUB[0]}: macos", f"{GITHUB[1]}: deep"]
    assert (sorted(at_github), sorted(at_gitlab)) == (names, ["check", "deep"])
    assert [name for name, job in at_github.items() if not keeps_at_github(job)] == []
    assert [name for name, job in at_gitlab.items() if not keeps_at_gitlab(job)] == []
    assert re.search(rf"^REPORTS := {REPORTS.rstrip('/')}$", (TEMPLATE / "Makefile").read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize(
    "harm",
    [
        lambda step: step.pop("if"),
        lambda step: step.update({"if": "failure()"}),
        lambda step: step.update(uses="actions/upload-artifact@v4"),
        lambda step: step.update(uses=f"actions/upload-artifact@{'0' * 40}"),
        lambda step: step["with"].update(path="dist/"),
        lambda step: step["with"].pop("include-hidden-files"),  # .cache is one
    ],
)
def test_a_job_of_github_that_keeps_none_is_noticed(harm: Callable[[Job], object]) -> None:
    job = copy.deepcopy(github_jobs()[f"{GITHUB[0]}: macos"])
    harm(job["steps"][-1])
    assert not keeps_at_github(job)


@pytest.mark.parametrize(
    "harm",
    [
        lambda job: job.pop("artifacts"),
        lambda job: job["artifacts"].update(when="on_success"),
        lambda job: job["artifacts"].pop("reports"),
        lambda job: job["artifacts"]["reports"].update(junit="dist/*.xml"),
        lambda job: job["artifacts"].pop("paths"),
    ],
)
def test_a_job_of_gitlab_that_keeps_none_is_noticed(harm: Callable[[Job], object]) -> None:
    job = copy.deepcopy(gitlab_jobs()["deep"])
    harm(job)
    assert not keeps_at_gitlab(job)


def test_its_pythons_are_3_11_3_13_and_3_14() -> None:
    pythons = ["3.11", "3.13", "3.14"]
    assert loaded(GITHUB[0])["jobs"]["check"]["strategy"]["matrix"]["python"] == pythons
    assert gitlab_jobs()["check"]["parallel"]["matrix"] == [{"PYTHON_VERSION": pythons}]


def test_macos_runs_tests_and_renders() -> None:
    job = github_jobs()[f"{GITHUB[0]}: macos"]
    said = str(job["steps"])
    assert job["runs-on"].startswith("macos-")
    assert {"tests/scripts/test_run.py", "make test", "cookiecutter"} <= set(
        re.findall(r"tests/\S+\.py|make test|cookiecutter", said)
    )
