"""compose.yaml: as far as it can be held to something without Docker."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from answers import capability_sets, label
from commands import run, succeed
from conftest import Render
from environments import EVERYTHING
from running import environment_of, package_of

Compose = dict[str, Any]


def compose_of(service: Path) -> Compose:
    found: Compose = yaml.safe_load((service / "compose.yaml").read_text(encoding="utf-8"))
    return found


def processes(compose: Compose) -> dict[str, Compose]:
    """What runs the service's own image."""
    return {name: each for name, each in compose["services"].items() if "build" in each}


def problems(compose: Compose) -> list[str]:
    """What the schema cannot see."""
    services, found = compose["services"], []
    for name, each in services.items():
        for needed, how in each.get("depends_on", {}).items():
            other = services.get(needed, {})
            if how["condition"] == "service_healthy" and not {"healthcheck", "build"} & other.keys():
                found.append(f"{name}: {needed} is never healthy")
            if how["condition"] == "service_completed_successfully" and other.get("restart") == "unless-stopped":
                found.append(f"{name}: {needed} never completes")
        for url in re.findall(r"://(?:\w+@)?(\w+)", str(each.get("environment", ""))):
            awaited = {*each.get("depends_on", {}), *services.get("migrate", {}).get("depends_on", {})}
            if url not in awaited and name != "migrate":  # which only goes to the database
                found.append(f"{name}: does not wait for {url}")
        for volume in each.get("volumes", []):
            source = volume.partition(":")[0]
            if not source.startswith(".") and source not in compose.get("volumes", {}):
                found.append(f"{name}: {source} is no volume")
        for port in each.get("ports", []):
            if not port.startswith("127.0.0.1:"):
                found.append(f"{name}: {port} is open to the network")
    return found


def lints(file: Path) -> bool:
    checks = [
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", file),
        ("compose-lint", "--fail-on", "high", file),
    ]
    return all(run(*check).returncode == 0 for check in checks)


@pytest.mark.parametrize("answers", capability_sets(), ids=label)
def test_it_is_valid_in_every_set_of_capabilities(answers: dict[str, str | bool], rendered: Render) -> None:
    service = rendered(**answers)
    assert lints(service / "compose.yaml")
    assert problems(compose_of(service)) == []
    wanted = {"serve"} | ({"worker", "scheduler"} if answers["tasks"] else set())
    assert set(processes(compose_of(service))) == wanted | ({"migrate"} if answers["database"] else set())


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("command: [serve]", "comand: [serve]"),
        ("restart: unless-stopped", "restart: 3"),
        ("cap_drop: [ALL]", "privileged: true"),
        ("POSTGRES_HOST_AUTH_METHOD: trust", "POSTGRES_PASSWORD: correct-horse"),
    ],
)
def test_the_validators_notice_what_is_wrong(right: str, wrong: str, rendered: Render, tmp_path: Path) -> None:
    text = (rendered(**EVERYTHING) / "compose.yaml").read_text(encoding="utf-8")
    assert right in text
    broken = tmp_path / "compose.yaml"
    broken.write_text(text.replace(right, wrong), encoding="utf-8")
    assert not lints(broken)


@pytest.mark.parametrize(
    ("said", "broken"),
    [
        ("is never healthy", lambda it: it["redis"].pop("healthcheck")),
        ("never completes", lambda it: it["migrate"].update(restart="unless-stopped")),
        ("does not wait for broker", lambda it: it["serve"]["environment"].update(BROKER_URL="redis://broker/0")),
        ("is no volume", lambda it: it["redis"].update(volumes=["cache:/data"])),
        ("is open to the network", lambda it: it["serve"].update(ports=["8000:8000"])),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_so_do_the_checks_beyond_them(said: str, broken: Any, rendered: Render) -> None:
    compose = compose_of(rendered(**EVERYTHING))
    broken(compose["services"])
    assert said in str(problems(compose))


@pytest.mark.parametrize("answers", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_the_service_knows_the_settings_and_stops_in_time(
    answers: dict[str, str | bool], rendered: Render, python: Path
) -> None:
    service = rendered(**answers)
    command = (python, "-m", package_of(service))
    serve, *others = processes(compose_of(service)).values()
    assert all(other["environment"] == serve["environment"] for other in others)
    environment = environment_of(service, **serve["environment"])
    shown = json.loads(succeed(*command, "config", "show", "--json", cwd=service, env=environment))
    stops = ("drain", "shutdown", "tasks_shutdown", "background", "resource")
    longest = sum(shown.get(f"{each}_seconds", {"value": 0})["value"] for each in stops)
    assert float(serve["stop_grace_period"].removesuffix("s")) >= longest
    commands = succeed(*command, "--help", cwd=service, env=environment)
    assert all(f"\n  {process['command'][0]} " in commands for process in (serve, *others))
