"""The alerts and what Prometheus scrapes: held to promtool, to the service's own metrics, and to a real Prometheus."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

import charts
from chart_values import flag
from commands import run, succeed
from conftest import Render
from environments import EVERYTHING
from running import Running, running
from tools import needs

UNIT_TESTS = Path(__file__).with_name("alerts_test.yaml")
METRIC = re.compile(r"\b(?:app|event_loop|http|tasks?)_\w+(?=[{\[ ]|$)")


def alerts_of(service: Path) -> Path:
    return service / "deploy/chart/alerts.yaml"


@pytest.mark.parametrize("answers", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_promtool_reads_the_alerts(answers: dict[str, str | bool], rendered: Render, tmp_path: Path) -> None:
    needs("promtool")
    alerts = alerts_of(rendered(**answers))
    succeed("promtool", "check", "rules", "--lint-fatal", alerts)
    broken = tmp_path / "broken.yaml"
    broken.write_text(alerts.read_text(encoding="utf-8").replace("absent(up{", "absent(up{{"), encoding="utf-8")
    assert run("promtool", "check", "rules", broken).returncode != 0


def unit_tests_pass(alerts: Path, folder: Path) -> bool:
    shutil.copy(alerts, folder / "alerts.yaml")
    shutil.copy(UNIT_TESTS, folder)
    return run("promtool", "test", "rules", UNIT_TESTS.name, cwd=folder).returncode == 0


def test_they_speak_when_they_should_and_only_then(rendered: Render, tmp_path: Path) -> None:
    needs("promtool")
    alerts = alerts_of(rendered(**EVERYTHING))
    assert unit_tests_pass(alerts, tmp_path)
    named = {
        test["alertname"]
        for case in yaml.safe_load(UNIT_TESTS.read_text("utf-8"))["tests"]
        for test in case["alert_rule_test"]
    }
    rules = yaml.safe_load(alerts.read_text(encoding="utf-8"))["groups"][0]["rules"]
    assert named == {rule["alert"] for rule in rules}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("> 0.05", "> 0.5"), ("> 1000", "> 800"), ("min by (check)", "max by (check)"), ("for: 2m", "for: 20m")],
)
def test_their_unit_tests_notice_a_change(right: str, wrong: str, rendered: Render, tmp_path: Path) -> None:
    needs("promtool")
    text = alerts_of(rendered(**EVERYTHING)).read_text(encoding="utf-8")
    assert right in text
    changed = tmp_path / "changed.yaml"
    changed.write_text(text.replace(right, wrong), encoding="utf-8")
    assert not unit_tests_pass(changed, tmp_path)


def test_the_operator_is_given_the_same_alerts(rendered: Render) -> None:
    service = rendered(**EVERYTHING)
    (rule,) = charts.of_kind(charts.manifests(service, *flag({"monitoring.enabled": True})), "PrometheusRule")
    assert rule["spec"] == yaml.safe_load(alerts_of(service).read_text(encoding="utf-8"))


def test_the_service_has_the_metrics_that_they_ask_for(rendered: Render, python: Path) -> None:
    rules = yaml.safe_load(alerts_of(rendered()).read_text(encoding="utf-8"))["groups"][0]["rules"]
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
    needs("promtool")
    service = rendered(**answers)
    text = config_of(service).replace("/etc/prometheus/", f"{alerts_of(service).parent}/")
    config = tmp_path / "prometheus.yml"
    config.write_text(text, encoding="utf-8")
    succeed("promtool", "check", "config", config)
    config.write_text(text.replace("scrape_configs", "scrape_config"), encoding="utf-8")
    assert run("promtool", "check", "config", config).returncode != 0
    compose = yaml.safe_load((service / "compose.yaml").read_text(encoding="utf-8"))
    names = {name for name, each in compose["services"].items() if "build" in each and name != "migrate"}
    (targets,) = yaml.safe_load(text)["scrape_configs"][0]["static_configs"]
    assert targets == {"targets": [f"{name}:8000" for name in compose["services"] if name in names]}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def prometheus(service: Path, scraped: Running, home: Path) -> Iterator[str]:
    """A Prometheus with the configuration that compose gives it; its address."""
    text = config_of(service).replace("/etc/prometheus/", f"{alerts_of(service).parent}/")
    config = home / "prometheus.yml"
    config.write_text(text.replace("serve:8000", f"127.0.0.1:{scraped.port}").replace("5s", "1s"), encoding="utf-8")
    port = free_port()
    options = [f"--storage.tsdb.path={home / 'data'}", f"--web.listen-address=127.0.0.1:{port}"]
    command = ["prometheus", f"--config.file={config}", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def asked(address: str) -> Any:
    try:
        with urllib.request.urlopen(address, timeout=5) as answer:
            return json.load(answer)["data"]
    except OSError:
        return {}


@pytest.mark.slow
def test_a_real_prometheus_scrapes_it_and_evaluates_the_alerts(rendered: Render, python: Path, tmp_path: Path) -> None:
    needs("prometheus")
    with running(rendered(), python) as service, prometheus(rendered(), service, tmp_path) as address:
        deadline = time.monotonic() + 60
        while True:
            up = asked(f'{address}/api/v1/query?query=up{{job="my-service"}}').get("result", [])
            groups = asked(f"{address}/api/v1/rules").get("groups", [])
            rules = [rule for group in groups for rule in group["rules"]]
            if up and up[0]["value"][1] == "1" and rules and all(rule["health"] == "ok" for rule in rules):
                break
            assert time.monotonic() < deadline, (up, rules)
            time.sleep(0.5)
    assert {rule["name"] for rule in rules} == {
        "NothingServes",
        "RequestsFail",
        "RequestsAreSlow",
        "BackingServiceFails",
    }
