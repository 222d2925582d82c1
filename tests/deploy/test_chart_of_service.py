"""The Helm chart and the service that it installs: they mean the same by settings, paths and times."""

from __future__ import annotations

import json
import shlex
import tarfile
from pathlib import Path

import pytest
import yaml

import charts
from commands import run, succeed
from conftest import Render
from environments import EVERYTHING, without_project
from running import environment_of, package_of, started
from tools import helm


@pytest.mark.parametrize("answers", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_the_service_knows_the_settings_that_it_is_given(
    answers: dict[str, str | bool], rendered: Render, python: Path
) -> None:
    service = rendered(**answers)
    variables: dict[str, str] = {}
    for workload in charts.workloads(charts.manifests(service)):  # they differ in their ports
        variables |= charts.environment(workload)
    variables |= {name: value for name, value in STAND_INS.items() if name in variables}
    command = (python, "-m", package_of(service), "config", "check")
    succeed(*command, cwd=service, env=environment_of(service, **variables))
    assert run(*command, cwd=service, env=environment_of(service, **variables, APP_DRIAN_SECONDS="1")).returncode == 2


# What secrets would hold.
STAND_INS = {
    "DATABASE_URL": "postgresql://a:b@localhost/c",
    "BROKER_URL": "redis://localhost/0",
    "APP_AUTH_SECRET": "correct-horse-battery-staple-and-more",
}


def test_the_service_answers_what_the_probes_and_prometheus_ask(rendered: Render, python: Path) -> None:
    service = rendered()
    (serve,) = charts.workloads(charts.manifests(service))
    probes = [charts.container(serve)[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")]
    asked = {probe["httpGet"]["path"] for probe in probes}
    variables = {**charts.environment(serve), "PORT": "0", "ADMIN_PORT": "0", "APP_DRAIN_SECONDS": "0"}
    command = [str(python), "-m", package_of(service), *charts.container(serve)["args"]]
    with started(command, folder=service, environment=environment_of(service, **variables)) as process:
        assert {path: process.get(path).status for path in asked} == dict.fromkeys(asked, 200)
        assert process.get("/probe").status == 404
        assert process.stop() == 0


def test_probes_wait_longer_than_what_they_wait_for(rendered: Render, python: Path) -> None:
    service = rendered()
    command = (python, "-m", package_of(service), "config", "show", "--json")
    shown = json.loads(run(*command, cwd=service, env=environment_of(service)).stdout)
    (serve,) = charts.workloads(charts.manifests(service))
    assert charts.container(serve)["readinessProbe"]["timeoutSeconds"] > shown["check_seconds"]["value"]


def test_make_chart_checks_and_packages_it(fresh: Render) -> None:
    service = fresh(**EVERYTHING)
    make = ("make", "chart", f"HELM={helm()}", "VERSION=1.2.3rc1", "TAG=c0ffee")
    succeed(*make, cwd=service, env=without_project())
    with tarfile.open(service / "dist/my-service-1.2.3-rc.1.tgz") as package:
        chart = package.extractfile("my-service/Chart.yaml")
        assert chart
        assert yaml.safe_load(chart)["appVersion"] == "c0ffee"
    (service / "deploy/values.production.yaml").write_text("processes: { serve: { replica: 3 } }\n", encoding="utf-8")
    refused = run(*make, cwd=service, env=without_project())
    assert refused.returncode != 0
    assert "replica" in refused.stdout + refused.stderr


def test_a_machine_without_helm_is_told_so(fresh: Render) -> None:
    done = run("make", "chart", "HELM=no-such-helm", cwd=fresh(), env=without_project())
    assert (done.returncode, "no-such-helm is needed" in done.stdout) == (2, True)


def test_make_deploy_installs_what_was_checked(fresh: Render) -> None:
    """There is no cluster here: Helm is asked what it would send to one."""
    service = fresh(**EVERYTHING)
    make = (
        "make",
        "--dry-run",
        "deploy",
        f"HELM={helm()}",
        "ENVIRONMENT=staging",
        "TAG=1.2.3",
        "IMAGE=r.example.com/x",
    )
    *_, last = succeed(*make, cwd=service, env=without_project()).replace("\\\n", " ").strip().splitlines()
    command = shlex.split(last)
    assert command[1:4] == ["upgrade", "--install", "my-service"]
    template = [command[0], "template", *command[3:]]
    for option in ("--atomic", "--timeout", "10m"):
        template.remove(option)
    found = list(filter(None, yaml.safe_load_all(succeed(*template, cwd=service))))
    assert charts.problems(found) == []
    assert {charts.container(each)["image"] for each in charts.workloads(found)} == {"r.example.com/x:1.2.3"}
    assert {charts.environment(each)["APP_ENVIRONMENT"] for each in charts.workloads(found)} == {"staging"}


def test_an_installation_asks_for_an_environment_that_there_is(fresh: Render) -> None:
    done = run("make", "deploy", f"HELM={helm()}", "ENVIRONMENT=nowhere", cwd=fresh(), env=without_project())
    assert (done.returncode, "ENVIRONMENT=staging" in done.stdout) == (2, True)
