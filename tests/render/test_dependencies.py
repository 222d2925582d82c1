"""What a service declares is complete, and resolves to what was tested."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from answers import capability_sets, label
from commands import run, succeed
from conftest import Render
from environments import without_project


def declared(service: Path) -> dict[str, object]:
    return tomllib.loads((service / "pyproject.toml").read_text(encoding="utf-8"))


def locked(service: Path) -> dict[str, set[str]]:
    """Resolve `service` and map each distribution to its versions."""
    succeed("uv", "lock", "--quiet", cwd=service, env=without_project())
    versions: dict[str, set[str]] = {}
    for package in tomllib.loads((service / "uv.lock").read_text(encoding="utf-8"))["package"]:
        if "registry" in package["source"]:
            versions.setdefault(package["name"], set()).add(package["version"])
    return versions


def pins(service: Path) -> dict[str, set[str]]:
    exact: dict[str, set[str]] = {}
    for line in declared(service)["tool"]["uv"]["constraint-dependencies"]:  # type: ignore[index]
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", line
        exact.setdefault(requirement.name, set()).add(specifier.version)
    return exact


@pytest.mark.parametrize("answers", capability_sets(), ids=label)
def test_a_service_resolves_to_the_versions_that_were_tested(answers: dict[str, str | bool], fresh: Render) -> None:
    """In a year as today: nothing that a service needs, not even indirectly, is without an exact pin."""
    service = fresh(**answers)
    resolved = locked(service)
    tested = pins(service)
    assert "starlette" in resolved
    assert {name: versions for name, versions in resolved.items() if tested.get(name) != versions} == {}


def test_a_newer_release_is_not_taken(fresh: Render) -> None:
    """The pins decide, not the day: an older one than the newest is what is resolved."""
    service = fresh()
    pyproject = service / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    (pinned,) = pins(service)["iniconfig"]
    pyproject.write_text(text.replace(f"iniconfig=={pinned}", "iniconfig==2.0.0"), encoding="utf-8")
    assert locked(service)["iniconfig"] == {"2.0.0"}


def test_what_builds_the_service_is_pinned(rendered: Render) -> None:
    (backend,) = declared(rendered())["build-system"]["requires"]  # type: ignore[index]
    assert str(Requirement(backend).specifier).startswith("==")


@pytest.mark.parametrize("answers", capability_sets(), ids=label)
def test_what_is_imported_is_declared(answers: dict[str, str | bool], rendered: Render, python: Path) -> None:
    succeed(python.with_name("deptry"), "src", cwd=rendered(**answers))


def test_a_missing_declaration_is_noticed(fresh: Render, python: Path) -> None:
    service = fresh()
    pyproject = service / "pyproject.toml"
    pyproject.write_text(pyproject.read_text(encoding="utf-8").replace('  "msgspec",\n', ""), encoding="utf-8")
    done = run(python.with_name("deptry"), "src", cwd=service)
    assert done.returncode != 0
    assert "msgspec" in done.stderr
