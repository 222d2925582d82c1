"""The Helm chart: every value of it flipped, in every set of capabilities, and looked at as a cluster would."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import charts
from answers import capability_sets, chart_of, label
from answers import charts as sets_of_charts
from chart_values import FLIPS, WRONG, flag, flips
from charts import Manifest
from conftest import Render
from environments import EVERYTHING


def leaves(values: dict[str, Any], path: str = "") -> list[str]:
    found = []
    for key, value in values.items():
        found += leaves(value, f"{path}{key}.") if isinstance(value, dict) and value else [f"{path}{key}"]
    return found


@pytest.mark.parametrize("answers", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_every_optional_value_is_flipped_here(answers: dict[str, str | bool], rendered: Render) -> None:
    values = yaml.safe_load((rendered(**answers) / "deploy/chart/values.yaml").read_text(encoding="utf-8"))
    flipped = flips(answers)
    assert [leaf for leaf in leaves(values) if not any(f"{leaf}.".startswith(f"{key}.") for key in flipped)] == []


def check_flips(service: Path, answers: dict[str, str | bool]) -> None:
    as_they_were = {
        tuple(flag(before)): charts.manifests(service, *flag(before)) for before, _ in flips(answers).values()
    }
    assert charts.problems(as_they_were[()]) == []
    for key, (before, after) in flips(answers).items():
        rendered = charts.manifests(service, *flag(after))
        assert charts.problems(rendered) == [], key
        assert rendered != as_they_were[tuple(flag(before))], key


def check_values(service: Path, answers: dict[str, str | bool]) -> None:
    """As they are, and with every optional one flipped at once."""
    assert charts.problems(charts.manifests(service)) == []
    flipped = {name: value for _, after in flips(answers).values() for name, value in after.items()}
    all_at_once = {name: value for name, value in flipped.items() if value is not None}
    assert charts.problems(charts.manifests(service, *flag(all_at_once))) == []


def bytes_of_chart(service: Path) -> dict[str, bytes]:
    folder = service / "deploy/chart"
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "values.yaml"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
def test_each_value_has_an_effect_that_a_cluster_would_take(rendered: Render) -> None:
    check_flips(rendered(**EVERYTHING), EVERYTHING)
    check_values(rendered(**EVERYTHING), EVERYTHING)


@pytest.mark.slow
@pytest.mark.parametrize("answers", sets_of_charts()[:-1], ids=label)
def test_so_it_has_in_every_other_chart(answers: dict[str, str | bool], rendered: Render) -> None:
    check_flips(rendered(**answers), answers)


@pytest.mark.slow
def test_there_are_no_other_charts_and_each_takes_the_values_of_its_service(rendered: Render) -> None:
    seen = {chart_of(answers): rendered(**answers) for answers in sets_of_charts()}
    for answers in capability_sets():
        service = rendered(**answers)
        assert bytes_of_chart(service) == bytes_of_chart(seen[chart_of(answers)])
        check_values(service, answers)


@pytest.mark.parametrize("key", WRONG)
def test_a_wrong_value_is_refused(key: str, rendered: Render) -> None:
    done = charts.template(rendered(**EVERYTHING), *flag({key: WRONG[key]}))
    assert done.returncode != 0
    assert "values don't meet the specifications of the schema" in done.stderr


@pytest.mark.parametrize("environment", ["staging", "production"])
@pytest.mark.parametrize("answers", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_the_values_of_each_environment_are_right(
    environment: str, answers: dict[str, str | bool], rendered: Render
) -> None:
    values = f"deploy/values.{environment}.yaml"
    found = charts.manifests(rendered(**answers), "--values", values)
    assert charts.problems(found) == []
    told = {charts.environment(each)["APP_ENVIRONMENT"] for each in charts.workloads(found)}
    assert told == {environment}


# What is broken in what was rendered, the text that says so, and how it is broken.
Break = Callable[[Manifest], object]
BROKEN: list[tuple[str, str, Break]] = [
    ("Deployment/release-serve", "Additional properties", lambda it: it["spec"].update(replica=1)),
    ("Deployment/release-serve", "is not of type", lambda it: it["spec"].update(replicas="two")),
    ("Deployment/release-serve", "unknown kind", lambda it: it.update(kind="Deploiment")),
    ("ServiceMonitor/release", "unknown field", lambda it: it["spec"]["endpoints"][0].update(prot="x")),
    ("ServiceMonitor/release", "unknown kind", lambda it: it.update(kind="ServiceMonitors")),
    ("PrometheusRule/release", "groups.0.rules.0", lambda it: it["spec"]["groups"][0]["rules"][0].pop("expr")),
    ("Service/release", "is no name", lambda it: it["metadata"].update(name="Release")),
    ("Service/release", "is no label", lambda it: it["metadata"]["labels"].update(x="a b")),
    ("Service/release-worker", "is there twice", lambda it: it["metadata"].update(name="release")),
    ("Service/release", "selects 0", lambda it: it["spec"]["selector"].update({"app.kubernetes.io/name": "other"})),
    ("Service/release", "selects 3", lambda it: it["spec"]["selector"].pop("app.kubernetes.io/component")),
    ("Service/release", "nobody listens on https", lambda it: it["spec"]["ports"][0].update(targetPort="https")),
    ("Service/release", "no service answers", lambda it: it["spec"]["ports"][0].update(name="web")),
    ("Service/release", "has no port metrics", lambda it: it["spec"]["ports"][1].update(name="prom")),
    ("Service/release", "misses Service", lambda it: it["metadata"]["labels"].pop("app.kubernetes.io/name")),
    (
        "PodDisruptionBudget/release-serve",
        "selects 0",
        lambda it: it["spec"].update(selector={"matchLabels": {"a": "b"}}),
    ),
    ("HorizontalPodAutoscaler/release-serve", "scales", lambda it: it["spec"]["scaleTargetRef"].update(name="serve")),
    ("HorizontalPodAutoscaler/release-serve", "the least", lambda it: it["spec"].update(minReplicas=100)),
    ("NetworkPolicy/release", "shuts a port", lambda it: it["spec"]["ingress"][0]["ports"].pop()),
    ("NetworkPolicy/release", "not select all", lambda it: it["spec"]["podSelector"]["matchLabels"].update(a="b")),
    ("Deployment/release-serve", "told to listen", lambda it: port_of(it).update(containerPort=1)),
    ("Deployment/release-serve", "asks no port", lambda it: probe_of(it)["httpGet"].update(port="web")),
    ("Deployment/release-serve", "the drain", lambda it: probe_of(it).update(failureThreshold=3)),
    ("Deployment/release-serve", "is no quantity", lambda it: requests_of(it).update(memory="1 GB")),
    ("Deployment/release-serve", "than requested", lambda it: requests_of(it).update(memory="1Ti")),
    ("Deployment/release-serve", "missing", lambda it: requests_of(it).pop("cpu")),
    ("Deployment/release-worker", "is killed", lambda it: pod_of(it).update(terminationGracePeriodSeconds=30)),
    ("Deployment/release-worker", "runs as root", lambda it: pod_of(it)["securityContext"].pop("runAsUser")),
    ("Deployment/release-worker", "enableServiceLinks", lambda it: pod_of(it).pop("enableServiceLinks")),
    ("Deployment/release-worker", "hostNetwork", lambda it: pod_of(it).update(hostNetwork=True)),
    ("Job/release-migration", "drop is", lambda it: charts.container(it)["securityContext"].pop("capabilities")),
]


def pod_of(workload: Manifest) -> Manifest:
    spec: Manifest = workload["spec"]["template"]["spec"]
    return spec


def port_of(workload: Manifest) -> Manifest:
    port: Manifest = charts.container(workload)["ports"][0]
    return port


def probe_of(workload: Manifest) -> Manifest:
    probe: Manifest = charts.container(workload)["readinessProbe"]
    return probe


def requests_of(workload: Manifest) -> Manifest:
    requests: Manifest = charts.container(workload)["resources"]["requests"]
    return requests


@cache
def complete(service: Path) -> list[Manifest]:
    return charts.manifests(
        service,
        *flag({name: FLIPS[name] for name in ("ingress", "monitoring.enabled", "processes.serve.autoscaling")}),
        *flag({"processes.serve.autoscaling.min": 2}),
    )


@pytest.mark.parametrize(("name", "said", "broken"), BROKEN, ids=[f"{name}, {said}" for name, said, _ in BROKEN])
def test_what_is_broken_is_noticed(name: str, said: str, broken: Break, rendered: Render) -> None:
    found = copy.deepcopy(complete(rendered(**EVERYTHING)))
    assert charts.problems(found) == []
    (one,) = [each for each in found if charts.label(each) == name]
    broken(one)
    assert [problem for problem in charts.problems(found) if said in problem]


def test_a_misspelt_value_in_a_template_is_noticed(fresh: Render) -> None:
    """Helm puts nothing in its place, and says nothing."""
    service = fresh()
    template = service / "deploy/chart/templates/processes.yaml"
    text = template.read_text(encoding="utf-8")
    template.write_text(text.replace(".Values.ports.http", ".Values.port.http"), encoding="utf-8")
    done = charts.template(service)
    assert done.returncode != 0 or charts.problems(charts.manifests(service)) != []
