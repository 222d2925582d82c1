"""The alerts of releases that stand beside each other: made-up series, and what is wrong with one release.

promtool plays the series and says what the rules of all releases make of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import promql_parser
import yaml

import charts
from chart_values import flag
from commands import Done, run

JOB = "my-service"
RELEASE_LABEL = "app_kubernetes_io_instance"
COMPONENT_LABEL = "app_kubernetes_io_component"
MINUTES = 30
SEVERITY = {
    "NothingServes": "critical",
    "RequestsFail": "critical",
    "RequestsAreSlow": "warning",
    "BackingServiceFails": "critical",
    "TasksPileUp": "warning",
    "TasksAreBuried": "warning",
}
# The series of a release that is well → the values of each, a minute apart. Well is not perfect: 1 % of the requests
# fail, a scrape does now and then, and 900 tasks wait.
WELL = {
    "up component=serve instance=a": "1x40",
    "up component=serve instance=b": "1x10 0 1x30",
    "up component=worker instance=c": "1x40",
    "up component=scheduler instance=d": "1x40",
    "http_requests_total component=serve status=200": "0+600x40",
    "http_requests_total component=serve status=503": "0+6x40",
    "http_request_duration_seconds_bucket component=serve le=0.1": "0+600x40",
    "http_request_duration_seconds_bucket component=serve le=+Inf": "0+600x40",
    "app_check_up component=serve check=database": "1x40",
    "app_check_up component=worker check=database": "1x40",
    "tasks_queue_depth component=worker": "900x40",
    "tasks_buried component=worker": "0x40",
}


@dataclass(frozen=True)
class Case:
    """What is unlike a release that is well (None: such a series is not there), and the alert that it should raise."""

    series: Mapping[str, str | None]
    alert: str = ""
    summary: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def all_up(component: str, values: str | None) -> dict[str, str | None]:
    return {name: values for name in WELL if name.startswith(f"up component={component} ")}


SERVING = {COMPONENT_LABEL: "serve"}
NOTHING = "Nothing serves my-service in {}."
CASES = {
    "well": Case({}),
    "one of two is down": Case({"up component=serve instance=a": "0x40"}),
    "no worker and no scheduler": Case({**all_up("worker", "0x40"), **all_up("scheduler", None)}),
    "all that serve are down": Case(all_up("serve", "1x4 0x40"), "NothingServes", NOTHING, SERVING),
    "nothing serves, as with no replicas": Case(all_up("serve", None), "NothingServes", NOTHING, SERVING),
    "down, and then gone": Case(all_up("serve", "0x25 _x20"), "NothingServes", NOTHING, SERVING),
    "nothing is there at all": Case(dict.fromkeys(WELL), "NothingServes", NOTHING, SERVING),
    "one in ten fails": Case(
        {
            "http_requests_total component=serve status=200": "0+90x40",
            "http_requests_total component=serve status=503": "0+10x40",
        },
        "RequestsFail",
        "10% of the requests to my-service in {} are answered with 5xx.",
    ),
    "half are slow": Case(
        {
            "http_request_duration_seconds_bucket component=serve le=0.1": "0+50x40",
            "http_request_duration_seconds_bucket component=serve le=3": "0+100x40",
            "http_request_duration_seconds_bucket component=serve le=+Inf": "0+100x40",
        },
        "RequestsAreSlow",
        "One of 100 requests to my-service in {} takes longer than 2.942s.",
    ),
    "a worker has no database": Case(
        {"app_check_up component=worker check=database": "0x40"},
        "BackingServiceFails",
        "my-service in {} cannot use what database checks.",
        {"check": "database"},
    ),
    "tasks wait": Case(
        {"tasks_queue_depth component=worker": "1001x40"},
        "TasksPileUp",
        "1001 tasks of my-service in {} wait; start more workers.",
    ),
    "tasks were given up": Case(
        {"tasks_buried component=worker": "2x40"},
        "TasksAreBuried",
        "2 tasks of my-service in {} were given up; see its commands for dead letters.",
    ),
}


@dataclass(frozen=True)
class Release:
    """A release in a namespace, and how it is."""

    namespace: str
    name: str
    case: Case = CASES["well"]

    @property
    def labels(self) -> dict[str, str]:
        """What its targets bear, and its alerts."""
        return {"job": JOB, "namespace": self.namespace, RELEASE_LABEL: self.name}

    def series(self) -> Iterable[dict[str, str]]:
        """What is scraped of it, as promtool reads it."""
        for name, values in {**WELL, **self.case.series}.items():
            metric, *pairs = name.split()
            given = dict(pair.split("=", 1) for pair in pairs)
            given[COMPONENT_LABEL] = given.pop("component")
            labels = ", ".join(f'{key}="{value}"' for key, value in {**self.labels, **given}.items())
            if values is not None:
                yield {"series": f"{metric}{{{labels}}}", "values": values}

    def expected(self, alert: str) -> list[dict[str, Any]]:
        """What it should say by this alert."""
        if alert != self.case.alert:
            return []
        labels = {**self.labels, **self.case.labels, "severity": SEVERITY[alert]}
        return [{"exp_labels": labels, "exp_annotations": {"summary": self.case.summary.format(self.namespace)}}]

    def rules(self, service: Path) -> dict[str, Any]:
        """The rules that its chart installs in its namespace."""
        values = ("--namespace", self.namespace, *flag({"monitoring.enabled": True}))
        (rule,) = charts.of_kind(charts.manifests(service, *values, release=self.name), "PrometheusRule")
        spec: dict[str, Any] = rule["spec"]
        return spec


def told(releases: Iterable[Release], alerts: Iterable[str]) -> dict[str, Any]:
    """A test of promtool's: the series of all `releases`, and that each alert says what it should, and no more."""
    found = list(releases)
    asked = [
        {
            "eval_time": f"{MINUTES}m",
            "alertname": alert,
            "exp_alerts": [one for release in found for one in release.expected(alert)],
        }
        for alert in alerts
    ]
    return {
        "name": ", ".join(f"{each.namespace}/{each.name}" for each in found),
        "interval": "1m",
        "input_series": [series for release in found for series in release.series()],
        "alert_rule_test": asked,
    }


def promtool(tests: list[dict[str, Any]], rules: Iterable[Mapping[str, Any]], folder: Path) -> Done:
    """Run the tests against the rules of several releases, as one Prometheus would have them."""
    names = []
    for number, each in enumerate(rules):
        names.append(f"rules-{number}.yaml")
        (folder / names[-1]).write_text(yaml.safe_dump(each), encoding="utf-8")
    text = yaml.safe_dump({"rule_files": names, "evaluation_interval": "1m", "tests": tests})
    (folder / "tests.yaml").write_text(text, encoding="utf-8")
    return run("promtool", "test", "rules", "tests.yaml", cwd=folder)


def parts(expression: str) -> list[promql_parser.Expr]:
    """All that an expression of PromQL is made of. Raises ValueError where it is none."""
    found: list[promql_parser.Expr] = []

    def keep(part: promql_parser.Expr) -> None:
        found.append(part)

    promql_parser.walk(promql_parser.parse(expression), keep)
    return found


def added_up(expression: str) -> list[str]:
    """The parts of an expression that throw namespaces or releases together."""
    lost = []
    for part in parts(expression):
        if isinstance(part, promql_parser.AggregateExpr):
            lost += [] if _keeps(part.modifier, promql_parser.AggModifierType.By) else [str(part)]
        if isinstance(part, promql_parser.BinaryExpr) and part.modifier and part.modifier.matching:
            include = promql_parser.LabelModifierType.Include
            lost += [] if _keeps(part.modifier.matching, include) else [str(part)]
    return lost


def _keeps(modifier: Any, names_what_stays: object) -> bool:
    if modifier is None:
        return False
    kept = {"namespace", RELEASE_LABEL}
    named = kept & set(modifier.labels)
    return named == kept if modifier.type == names_what_stays else not named


def elsewhere(expression: str, namespace: str) -> list[str]:
    """The selectors of an expression that look at more than one namespace."""
    selectors = [part for part in parts(expression) if isinstance(part, promql_parser.VectorSelector)]
    return [str(each) for each in selectors if ("namespace", namespace) not in set(_equal(each))]


def _equal(selector: promql_parser.VectorSelector) -> Iterable[tuple[str, str]]:
    for matcher in selector.matchers.matchers:
        if matcher.op == promql_parser.MatchOp.Equal:
            yield matcher.name, matcher.value
