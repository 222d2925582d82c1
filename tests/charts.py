"""The Helm chart of a service: rendered, validated, and looked at as a cluster would."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate.utils
import yaml

from commands import Done, run
from tools import helm

# The oldest that the chart says it is for, and the newest that there are schemas of.
KUBERNETES = ("1.30", "1.37")
UNITS: dict[str, float] = {
    "": 1,
    "m": 1e-3,
    **{u: 1000**n for n, u in enumerate("kMGT", 1)},
    **{f"{u}i": 1024**n for n, u in enumerate("KMGT", 1)},
}
STOPS = ("DRAIN", "SHUTDOWN", "TASKS_SHUTDOWN", "BACKGROUND", "RESOURCE")

Manifest = dict[str, Any]

# It would read the schemas again for every manifest, nine tenths of its time.
kubernetes_validate.utils.schema_contents = cache(kubernetes_validate.utils.schema_contents)


def template(service: Path, *arguments: str, release: str = "release") -> Done:
    """What `helm template` makes of the chart of `service`, with the values of all environments."""
    values = ("--values", "deploy/values.yaml")
    return run(helm(), "template", release, "deploy/chart", *values, *arguments, cwd=service)


def manifests(service: Path, *arguments: str, release: str = "release") -> list[Manifest]:
    """The same as data. Fails the test if Helm refuses."""
    done = template(service, *arguments, release=release)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"
    return [each for each in yaml.load_all(done.stdout, yaml.CSafeLoader) if each]


def label(manifest: Manifest) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"


def problems(rendered: Iterable[Manifest]) -> list[str]:
    """All that is wrong with `rendered`: each by itself, and all of them together."""
    found = list(rendered)
    checks = (schema, names, selectors, ports, quantities, stops, restricted)
    return [problem for check in checks for problem in check(found)]


def schema(rendered: list[Manifest]) -> Iterator[str]:
    """What does not fit its schema. A kind without a schema is a problem too."""
    for manifest in rendered:
        for problem in _schema(json.dumps(manifest, sort_keys=True)):
            yield f"{label(manifest)}: {problem}"


@cache  # most are the same in most variants
def _schema(text: str) -> tuple[str, ...]:
    manifest = json.loads(text)
    if manifest["apiVersion"] == "monitoring.coreos.com/v1":
        return tuple(_of_operator(manifest))
    problems = []
    for version in KUBERNETES:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            problems.append(f"{version}: {'.'.join(map(str, error.path))}: {error.message}")
        except kubernetes_validate.SchemaNotFoundError:
            problems.append(f"{version}: unknown kind")
    return tuple(problems)


def _of_operator(manifest: Manifest) -> Iterator[str]:
    from cloudcoil.models.prometheus_operator import v1
    from pydantic import BaseModel, ValidationError

    models: dict[str, type[BaseModel]] = {"ServiceMonitor": v1.ServiceMonitor, "PrometheusRule": v1.PrometheusRule}
    if manifest["kind"] not in models:
        yield "unknown kind"
        return
    try:
        understood = models[manifest["kind"]].model_validate(manifest)
    except ValidationError as error:
        yield str(error)
        return
    # What the model does not know, it leaves out.
    if understood.model_dump(mode="json", by_alias=True, exclude_unset=True) != manifest:
        yield "an unknown field"


def names(rendered: list[Manifest]) -> Iterator[str]:
    """Two of one name, and names and labels that a cluster would refuse."""
    seen = set()
    for manifest in rendered:
        if label(manifest) in seen:
            yield f"{label(manifest)}: is there twice"
        seen.add(label(manifest))
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", manifest["metadata"]["name"]):
            yield f"{label(manifest)}: is no name"
        for value in manifest["metadata"].get("labels", {}).values():
            if not re.fullmatch(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?", value):
                yield f"{label(manifest)}: {value!r} is no label"


def of_kind(rendered: Iterable[Manifest], *kinds: str) -> list[Manifest]:
    return [each for each in rendered if each["kind"] in kinds]


def workloads(rendered: Iterable[Manifest]) -> list[Manifest]:
    return of_kind(rendered, "Deployment", "Job")


def pod_labels(workload: Manifest) -> dict[str, str]:
    labels: dict[str, str] = workload["spec"]["template"]["metadata"]["labels"]
    return labels


def container(workload: Manifest) -> Manifest:
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    found: Manifest = only
    return found


def environment(workload: Manifest) -> dict[str, str]:
    """The variables that are set, those of secrets with a stand-in."""
    return {each["name"]: each.get("value", "from-a-secret") for each in container(workload).get("env", [])}


def selected(selector: dict[str, str], labels: dict[str, str]) -> bool:
    return bool(selector) and selector.items() <= labels.items()


def selectors(rendered: list[Manifest]) -> Iterator[str]:
    """Selectors that find nothing, or more than what they are of."""
    deployments = of_kind(rendered, "Deployment")
    for owner in of_kind(rendered, "Deployment", "Service", "PodDisruptionBudget"):
        selector = owner["spec"]["selector"].get("matchLabels", owner["spec"]["selector"])
        found = [each for each in deployments if selected(selector, pod_labels(each))]
        if len(found) != 1:
            yield f"{label(owner)}: selects {len(found)} deployments"
    for deployment in deployments:
        for constraint in deployment["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            if not selected(constraint["labelSelector"]["matchLabels"], pod_labels(deployment)):
                yield f"{label(deployment)}: is not spread"
    for policy in of_kind(rendered, "NetworkPolicy"):
        if not all(
            selected(policy["spec"]["podSelector"]["matchLabels"], pod_labels(each)) for each in workloads(rendered)
        ):
            yield f"{label(policy)}: does not select all"
    for monitor in of_kind(rendered, "ServiceMonitor"):
        services = of_kind(rendered, "Service")
        missed = [
            each
            for each in services
            if not selected(monitor["spec"]["selector"]["matchLabels"], each["metadata"]["labels"])
        ]
        yield from (f"{label(monitor)}: misses {label(each)}" for each in missed)
    for scaler in of_kind(rendered, "HorizontalPodAutoscaler"):
        name = scaler["spec"]["scaleTargetRef"]["name"]
        scaled = [each for each in deployments if each["metadata"]["name"] == name]
        if not scaled or "replicas" in scaled[0]["spec"]:
            yield f"{label(scaler)}: scales nothing, or what has replicas of its own"
        if scaler["spec"]["minReplicas"] > scaler["spec"]["maxReplicas"]:
            yield f"{label(scaler)}: the least is more than the most"


def ports(rendered: list[Manifest]) -> Iterator[str]:
    """Ports that nobody listens on."""
    open_ports: dict[str, set[str]] = {}
    for deployment in of_kind(rendered, "Deployment"):
        listed = container(deployment).get("ports", [])
        names = {each["name"] for each in listed}
        numbers = {str(each["containerPort"]) for each in listed}
        told = {environment(deployment).get(name) for name in ("PORT", "ADMIN_PORT", "APP_TASKS_PORT")} - {None}
        if numbers != told:
            yield f"{label(deployment)}: has ports {numbers}, and is told to listen on {told}"
        probes = [container(deployment).get(f"{kind}Probe") for kind in ("startup", "liveness", "readiness")]
        if names and not all(probe and probe["httpGet"]["port"] in names for probe in probes):
            yield f"{label(deployment)}: a probe asks no port of its"
        open_ports[label(deployment)] = names
    services = of_kind(rendered, "Service")
    for service in services:
        for port in service["spec"]["ports"]:
            behind = [
                open_ports[label(each)]
                for each in of_kind(rendered, "Deployment")
                if selected(service["spec"]["selector"], pod_labels(each))
            ]
            if not behind or not all(port["targetPort"] in names for names in behind):
                yield f"{label(service)}: nobody listens on {port['targetPort']}"
    named = {service["metadata"]["name"]: {port["name"] for port in service["spec"]["ports"]} for service in services}
    for ingress in of_kind(rendered, "Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                backend = path["backend"]["service"]
                if backend["port"]["name"] not in named.get(backend["name"], set()):
                    yield f"{label(ingress)}: no service answers"
    for monitor in of_kind(rendered, "ServiceMonitor"):
        for endpoint in monitor["spec"]["endpoints"]:
            yield from (
                f"{label(monitor)}: {name} has no port {endpoint['port']}"
                for name, has in named.items()
                if endpoint["port"] not in has
            )
    for policy in of_kind(rendered, "NetworkPolicy"):
        admitted = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        if not set().union(*open_ports.values()) <= admitted:
            yield f"{label(policy)}: shuts a port"


def amount(quantity: str | int) -> float:
    """A quantity as a number. Raises ValueError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z]*)", str(quantity))
    if not found or found[2] not in UNITS:
        raise ValueError(f"{quantity} is no quantity")
    return float(found[1]) * UNITS[found[2]]


def quantities(rendered: list[Manifest]) -> Iterator[str]:
    """Quantities that are none, and limits below what is requested."""
    for workload in workloads(rendered):
        resources = container(workload)["resources"]
        try:
            requests, limits = ({k: amount(v) for k, v in resources[kind].items()} for kind in ("requests", "limits"))
        except ValueError as error:
            yield f"{label(workload)}: {error}"
            continue
        if not {"cpu", "memory"} <= requests.keys() or "memory" not in limits:
            yield f"{label(workload)}: requests or limits are missing"
        yield from (f"{label(workload)}: less {k} than requested" for k in limits if limits[k] < requests.get(k, 0))


def stops(rendered: list[Manifest]) -> Iterator[str]:
    """Pods that would be killed before they have ended, or leave while requests still come."""
    for deployment in of_kind(rendered, "Deployment"):
        pod, variables = deployment["spec"]["template"]["spec"], environment(deployment)
        before = container(deployment).get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        longest = before + sum(float(variables.get(f"APP_{each}_SECONDS", 0)) for each in STOPS)
        if pod["terminationGracePeriodSeconds"] < longest:
            yield f"{label(deployment)}: is killed before its {longest} s are over"
        probe = container(deployment).get("readinessProbe")
        drain = float(variables.get("APP_DRAIN_SECONDS", 0))
        if probe and drain < probe["periodSeconds"] * probe["failureThreshold"]:
            yield f"{label(deployment)}: the drain is over before the probe has failed"


def restricted(rendered: list[Manifest]) -> Iterator[str]:
    """What the restricted profile of Kubernetes' pod security standards refuses, and what is lax besides."""
    for workload in workloads(rendered):
        pod = workload["spec"]["template"]["spec"]
        for where, key, wanted in (
            (pod, "automountServiceAccountToken", False),
            (pod, "enableServiceLinks", False),
            (pod["securityContext"], "runAsNonRoot", True),
            (pod["securityContext"].get("seccompProfile", {}), "type", "RuntimeDefault"),
            (container(workload)["securityContext"], "allowPrivilegeEscalation", False),
            (container(workload)["securityContext"], "readOnlyRootFilesystem", True),
            (container(workload)["securityContext"].get("capabilities", {}), "drop", ["ALL"]),
        ):
            if where.get(key) != wanted:
                yield f"{label(workload)}: {key} is {where.get(key)}"
        if not pod["securityContext"].get("runAsUser", 0):
            yield f"{label(workload)}: runs as root"
        lax = [key for key in ("hostNetwork", "hostPID", "hostIPC", "initContainers") if key in pod]
        lax += [key for key in ("privileged", "procMount") if key in container(workload)["securityContext"]]
        lax += [volume["name"] for volume in pod["volumes"] if "hostPath" in volume]
        yield from (f"{label(workload)}: {each} is not allowed" for each in lax)
