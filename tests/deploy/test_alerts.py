"""The alerts and what Prometheus scrapes: held to promtool, to the service's own metrics, and to a real Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

import charts
from alerting import CASES, COMPONENT_LABEL, RELEASE_LABEL, SEVERITY, Case, Release, added_up, elsewhere, promtool, told
from answers import capability_sets, label
from answers import charts as sets_of_charts
from chart_values import flag
from children import child
from commands import Done, run, succeed
from conftest import Render
from environments import EVERYTHING
from ports import free_port
from required import require_program
from running import Running, running

METRIC = re.compile(r"\b(?:app|event_loop|http|tasks?)_\w+(?=[{\[ ]|$)")


def alerts_of(service: Path) -> Path:
    return service / "deploy/chart/alerts.yaml"


def rules_of(groups: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [rule for group in groups["groups"] for rule in group["rules"]]


def own(service: Path) -> dict[str, Any]:
    """The alerts as the file has them, which compose's Prometheus reads."""
    read: dict[str, Any] = yaml.safe_load(alerts_of(service).read_text(encoding="utf-8"))
    return read


def cases(service: Path) -> dict[str, Case]:
    """The cases that a service with its capabilities can have."""
    alerts = {rule["alert"] for rule in rules_of(own(service))}
    return {name: case for name, case in CASES.items() if not case.alert or case.alert in alerts}


@pytest.mark.parametrize("answers", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_promtool_reads_the_alerts(answers: dict[str, str | bool], rendered: Render, tmp_path: Path) -> None:
    require_program("promtool")
    alerts = alerts_of(rendered(**answers))
    succeed("promtool", "check", "rules", "--lint-fatal", alerts)
    broken = tmp_path / "broken.yaml"
    broken.write_text(alerts.read_text(encoding="utf-8").replace("absent(up{", "absent(up{{"), encoding="utf-8")
    assert run("promtool", "check", "rules", broken).returncode != 0


def production_beside(service: Path, others: Sequence[Release], folder: Path) -> Done:
    """Each case in production, beside other releases that are well, and beside it those of the rules of all of them."""
    alerts = [rule["alert"] for rule in rules_of(own(service))]
    tests = [told([Release("production", "release", case), *others], alerts) for case in cases(service).values()]
    return promtool(tests, [each.rules(service) for each in (Release("production", "release"), *others)], folder)


@pytest.mark.slow
@pytest.mark.parametrize("answers", sets_of_charts(), ids=label)
def test_of_two_namespaces_the_one_that_is_not_well_is_named(
    answers: dict[str, str | bool], rendered: Render, tmp_path: Path
) -> None:
    require_program("promtool")
    done = production_beside(rendered(**answers), [Release("staging", "release")], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_of_two_releases_in_a_namespace_too(rendered: Render, tmp_path: Path) -> None:
    require_program("promtool")
    done = production_beside(rendered(**EVERYTHING), [Release("production", "preview")], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_two_that_are_not_well_are_two_alerts(rendered: Render, tmp_path: Path) -> None:
    require_program("promtool")
    service = rendered(**EVERYTHING)
    alerts = [rule["alert"] for rule in rules_of(own(service))]
    pairs = [[Release(each, "release", case) for each in ("production", "staging")] for case in CASES.values()]
    rules = [each.rules(service) for each in pairs[0]]
    done = promtool([told(pair, alerts) for pair in pairs], rules, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_case() -> None:
    assert {case.alert for case in CASES.values() if case.alert} == set(SEVERITY)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("> 0.05", "> 0.5"),
        ("> 1000", "> 800"),
        ("min by (", "max by ("),
        ("for: 2m", "for: 50m"),
        (', app_kubernetes_io_component="serve"}) == 0', "}) == 0"),
        ("max by (namespace, app_kubernetes_io_instance) (up", "min by (namespace, app_kubernetes_io_instance) (up"),
        ("    or absent(", "    and absent("),
        ("severity: warning", "severity: critical"),
        (" in {{ $labels.namespace }}", ""),
    ],
)
def test_their_cases_notice_a_change(right: str, wrong: str, fresh: Render, tmp_path: Path) -> None:
    require_program("promtool")
    service = fresh(**EVERYTHING)
    text = alerts_of(service).read_text(encoding="utf-8")
    assert right in text
    alerts_of(service).write_text(text.replace(right, wrong), encoding="utf-8")
    assert production_beside(service, [Release("staging", "release")], tmp_path).returncode != 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (', namespace="%s"', ', namespace=~"%s|.*"'),
        ('=~"|%s"', '=~"|%s|.*"'),
        ("merge $rule.labels $whose", "merge $rule.labels"),
    ],
)
def test_they_notice_a_chart_that_does_not_tell_releases_apart(
    right: str, wrong: str, fresh: Render, tmp_path: Path
) -> None:
    require_program("promtool")
    service = fresh(**EVERYTHING)
    template = service / "deploy/chart/templates/monitoring.yaml"
    text = template.read_text(encoding="utf-8")
    assert right in text
    template.write_text(text.replace(right, wrong), encoding="utf-8")
    others = [Release("staging", "release"), Release("production", "preview")]
    assert production_beside(service, others, tmp_path).returncode != 0


@pytest.mark.parametrize("answers", capability_sets(), ids=label)
def test_no_expression_adds_namespaces_up(answers: dict[str, str | bool], rendered: Render) -> None:
    service = rendered(**answers)
    installed = rules_of(Release("production", "release").rules(service))
    for rule in (*rules_of(own(service)), *installed):
        assert added_up(rule["expr"]) == [], rule["alert"]
        assert "$labels.namespace" in rule["annotations"]["summary"], rule["alert"]
    for rule in installed:
        assert elsewhere(rule["expr"], "production") == [], rule["alert"]
        assert rule["labels"].items() >= {"namespace": "production", RELEASE_LABEL: "release"}.items()


@pytest.mark.parametrize(
    "expression",
    [
        "sum(up)",
        "sum by (namespace) (up)",
        "max(sum by (namespace, app_kubernetes_io_instance) (up))",
        "sum without (namespace) (up)",
        "histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m]))) > 1",
        "up * on (namespace) group_left () down",
        "up / ignoring (app_kubernetes_io_instance) down",
        "topk(3, up)",
        "avg_over_time(count(up)[5m:1m])",
    ],
)
def test_one_that_does_is_noticed(expression: str) -> None:
    assert added_up(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "up",
        "rate(x[5m]) > 1",
        "sum without (instance) (up)",
        "up / ignoring (code) down",
        "a unless on (namespace, app_kubernetes_io_instance) b",
    ],
)
def test_one_that_does_not_is_right(expression: str) -> None:
    assert added_up(expression) == []


def test_a_selector_of_other_namespaces_is_noticed() -> None:
    for wrong in (
        "up",
        'up{namespace!="production"}',
        'up{namespace=~"production"}',
        'absent(up{namespace="staging"})',
    ):
        assert elsewhere(wrong, "production")


def test_the_operator_is_given_the_same_alerts_of_one_release(rendered: Render) -> None:
    service = rendered(**EVERYTHING)
    given, read = rules_of(Release("production", "release").rules(service)), rules_of(own(service))
    for rule, written in zip(given, read, strict=True):
        for name in ("namespace", RELEASE_LABEL):
            rule["labels"].pop(name)
        narrowed = ', namespace="production", app_kubernetes_io_instance=~"|release"'
        assert written["expr"].count('job="my-service"') == rule["expr"].count(narrowed)
        assert {**rule, "expr": rule["expr"].replace(narrowed, "")} == written


def test_a_target_has_the_labels_that_the_alerts_ask_for(rendered: Render) -> None:
    service = rendered(**EVERYTHING)
    found = charts.manifests(service, *flag({"monitoring.enabled": True}))
    (monitor,) = charts.of_kind(found, "ServiceMonitor")
    copied = {re.sub(r"\W", "_", name): name for name in monitor["spec"]["targetLabels"]}
    assert copied.keys() == {COMPONENT_LABEL, RELEASE_LABEL}
    labels = [each["metadata"]["labels"] for each in charts.of_kind(found, "Service")]
    assert {each[copied[COMPONENT_LABEL]] for each in labels} == {"serve", "worker", "scheduler"}
    assert {each[copied[RELEASE_LABEL]] for each in labels} == {"release"}
    assert {each[monitor["spec"]["jobLabel"]] for each in labels} == {"my-service"}


def test_the_service_has_the_metrics_that_they_ask_for(rendered: Render, python: Path) -> None:
    rules = rules_of(own(rendered()))
    asked = {name for rule in rules for name in METRIC.findall(rule["expr"])}
    assert len(asked) > 2
    with running(rendered(), python) as service:
        service.get("/api/v1/greeting")
        told = service.get("/metrics").body.decode()
    assert {name for name in asked if f"# TYPE {re.sub('_(bucket|total)$', '', name)}" not in told} == set()


def config_of(service: Path) -> str:
    compose = yaml.safe_load((service / "compose.yaml").read_text(encoding="utf-8"))
    return str(compose["configs"]["prometheus"]["content"])


@pytest.mark.parametrize("answers", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_compose_has_it_scrape_what_listens(answers: dict[str, str | bool], rendered: Render, tmp_path: Path) -> None:
    require_program("promtool")
    service = rendered(**answers)
    text = config_of(service).replace("/etc/prometheus/", f"{alerts_of(service).parent}/")
    config = tmp_path / "prometheus.yml"
    config.write_text(text, encoding="utf-8")
    succeed("promtool", "check", "config", config)
    config.write_text(text.replace("scrape_configs", "scrape_config"), encoding="utf-8")
    assert run("promtool", "check", "config", config).returncode != 0
    compose = yaml.safe_load((service / "compose.yaml").read_text(encoding="utf-8"))
    names = {name for name, each in compose["services"].items() if "build" in each and name != "migrate"}
    job = yaml.safe_load(text)["scrape_configs"][0]
    (targets,) = job["static_configs"]
    assert targets == {"targets": [f"{name}:8000" for name in compose["services"] if name in names]}
    assert {"source_labels": ["__address__"], "regex": "(.+):.+", "target_label": COMPONENT_LABEL} in job[
        "relabel_configs"
    ]


@contextmanager
def prometheus(service: Path, scraped: Running, home: Path) -> Iterator[str]:
    """A Prometheus with the configuration that compose gives it; its address."""
    text = config_of(service).replace("/etc/prometheus/", f"{alerts_of(service).parent}/").replace("5s", "1s")
    configuration = yaml.safe_load(text)
    (jobs,) = configuration["scrape_configs"]
    # What compose calls serve:8000. Its label is of that name, and is put back last.
    jobs["static_configs"] = [{"targets": [f"127.0.0.1:{scraped.port}"]}]
    jobs["relabel_configs"].append({"target_label": COMPONENT_LABEL, "replacement": "serve"})
    config = home / "prometheus.yml"
    config.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    port = free_port()
    options = [f"--storage.tsdb.path={home / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    command = ["prometheus", f"--config.file={config}", *options]
    with child(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL):
        yield f"http://127.0.0.1:{port}"


def asked(address: str) -> Any:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return json.load(answer)["data"]
    except OSError:
        return {}


def states(address: str) -> dict[str, str]:
    """Each alert that was evaluated without a fault → inactive, pending or firing."""
    rules = rules_of(asked(f"{address}/api/v1/rules") or {"groups": []})
    return {rule["name"]: rule["state"] for rule in rules if rule["health"] == "ok"}


def until(wanted: dict[str, str], address: str) -> None:
    """Wait until the alerts are in these states."""
    deadline = time.monotonic() + 60
    while (found := states(address)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


@pytest.mark.slow
def test_a_real_prometheus_scrapes_it_and_evaluates_the_alerts(rendered: Render, python: Path, tmp_path: Path) -> None:
    require_program("prometheus")
    quiet = dict.fromkeys(("NothingServes", "RequestsFail", "RequestsAreSlow", "BackingServiceFails"), "inactive")
    with running(rendered(), python) as service, prometheus(rendered(), service, tmp_path) as address:
        until(quiet, address)
        (up,) = asked(f'{address}/api/v1/query?query=up{{job="my-service"}}')["result"]
        assert (up["metric"]["namespace"], up["metric"][COMPONENT_LABEL], up["value"][1]) == ("compose", "serve", "1")
        service.stop()
        until({**quiet, "NothingServes": "pending"}, address)
