"""What a service declares is complete, and resolves to what was tested."""

from __future__ import annotations

import re
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from answers import capability_sets, label
from commands import run, succeed
from conftest import Render, git
from environments import EVERYTHING, TEMPLATE, without_project


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


@pytest.mark.slow
@pytest.mark.parametrize("answers", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_a_service_resolves_to_the_versions_that_were_tested(answers: dict[str, str | bool], fresh: Render) -> None:
    """In a year as today: nothing that a service needs, not even indirectly, is without an exact pin."""
    service = fresh(**answers)
    resolved = locked(service)
    tested = pins(service)
    assert "starlette" in resolved
    assert {name: versions for name, versions in resolved.items() if tested.get(name) != versions} == {}


def test_every_service_has_the_pins_of_the_one_with_everything(rendered: Render) -> None:
    """And requires no more than it: so all resolve to versions that were tested."""
    everything = rendered(**EVERYTHING)
    for answers in capability_sets():
        service = rendered(**answers)
        assert pins(service) == pins(everything)
        assert requirements(service) <= requirements(everything)


def requirements(service: Path) -> set[str]:
    """All that is asked for: by the service, by its groups, and by what is in its vendor/."""
    found: set[str] = set()
    for pyproject in (service / "pyproject.toml", *service.glob("vendor/*/pyproject.toml")):
        told: dict[str, Any] = tomllib.loads(pyproject.read_text(encoding="utf-8"))
        groups = [
            *told.get("dependency-groups", {}).values(),
            *told["project"].get("optional-dependencies", {}).values(),
        ]
        found.update(told["project"]["dependencies"], *groups)
    return found


def test_a_newer_release_is_not_taken(fresh: Render) -> None:
    """The pins decide, not the day: an older one than the newest is what is resolved."""
    service = fresh()
    pyproject = service / "pyproject.toml"
    text = pyproject.read_text(encoding="utf-8")
    (pinned,) = pins(service)["iniconfig"]
    pyproject.write_text(text.replace(f"iniconfig=={pinned}", "iniconfig==2.0.0"), encoding="utf-8")
    assert locked(service)["iniconfig"] == {"2.0.0"}


def refused(requirement: str) -> str:
    """What is wrong with a build requirement; "" if it has a range."""
    specifiers = Requirement(requirement).specifier
    operators = {specifier.operator for specifier in specifiers}
    if operators & {"==", "==="}:
        return "one version"
    if not operators & {"<", "<=", "~="}:
        return "no upper bound"
    return "" if operators & {">", ">=", "~="} else "no lower bound"


@pytest.mark.parametrize(
    "wrong", ["a", "a==1", "a==1.*", "a===1", "a>=1", "a<2", "a!=1", "a @ https://a.example/a.zip"]
)
def test_what_is_no_range_is_noticed(wrong: str) -> None:
    assert refused(wrong)


def build_requirements(pyproject: Path) -> list[str]:
    told: dict[str, Any] = tomllib.loads(pyproject.read_text(encoding="utf-8"))
    return list(told.get("build-system", {}).get("requires", []))


def test_what_builds_the_template_and_the_examples_has_a_range() -> None:
    """One version cannot be had everywhere: an index may be older, a distribution's packager has another."""
    files = git(TEMPLATE, "ls-files", "*pyproject.toml", ":(exclude)<<cookiecutter.project_slug>>").splitlines()
    assert "pyproject.toml" in files
    found = {file: build_requirements(TEMPLATE / file) for file in files}
    assert found["pyproject.toml"]
    assert {one: why for file in files for one in found[file] if (why := refused(one))} == {}


@pytest.mark.parametrize("answers", capability_sets(), ids=label)
def test_what_builds_the_service_has_a_range(answers: dict[str, str | bool], rendered: Render) -> None:
    pyprojects = [*rendered(**answers).rglob("pyproject.toml")]
    found = [one for pyproject in pyprojects for one in build_requirements(pyproject)]
    assert found
    assert {one: why for one in found if (why := refused(one))} == {}


def lowest(requirement: Requirement) -> str:
    return min((one.version for one in requirement.specifier if one.operator == ">="), key=Version)


def built(project: Path, output: Path, *constraints: str) -> dict[str, str]:
    """Build a wheel of `project` as pip would, by a backend of the index; return its files' texts by their names."""
    file = output / "constraints.txt"
    file.write_text("\n".join(constraints), encoding="utf-8")
    options = ("--quiet", "--wheel", "--force-pep517", f"--build-constraints={file}", f"--out-dir={output}")
    succeed("uv", "build", *options, cwd=project, env=without_project())
    (wheel,) = output.glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        return {one: opened.read(one).decode("utf-8", "replace") for one in opened.namelist()}


def generator(files: dict[str, str]) -> Version:
    """The version of the backend that built a wheel."""
    (text,) = [text for name, text in files.items() if name.endswith(".dist-info/WHEEL")]
    return Version(re.findall(r"^Generator: \S+ (\S+)$", text, re.MULTILINE)[0])


@pytest.mark.slow
@pytest.mark.parametrize("of", ["service", "template"])
def test_the_lowest_and_the_highest_backend_build_the_same(of: str, rendered: Render, tmp_path: Path) -> None:
    project = rendered() if of == "service" else TEMPLATE
    (required,) = map(Requirement, build_requirements(project / "pyproject.toml"))
    wheels = []
    for name, constraints in (("lowest", (f"{required.name}=={lowest(required)}",)), ("highest", ())):
        (tmp_path / name).mkdir()
        wheels.append(built(project, tmp_path / name, *constraints))
    low, high = wheels
    assert Version(lowest(required)) == generator(low) < generator(high)
    assert generator(high) in required.specifier
    for files in wheels:
        for made in [name for name in files if name.endswith((".dist-info/WHEEL", ".dist-info/RECORD"))]:
            del files[made]
    assert low.keys() == high.keys()
    assert [name for name in low if low[name] != high[name]] in ([], [metadata_of(low)])


def metadata_of(files: dict[str, str]) -> str:
    (name,) = [name for name in files if name.endswith(".dist-info/METADATA")]
    return name


def test_uv_builds_a_service_itself(fresh: Render) -> None:
    """So an image is built by the version of the uv that its Dockerfile names, and by no other of the range."""
    service = fresh()
    succeed("uv", "build", "--quiet", "--wheel", "--offline", "--no-cache", cwd=service, env=without_project())
    (wheel,) = (service / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as opened:
        (name,) = [name for name in opened.namelist() if name.endswith(".dist-info/WHEEL")]
        told = {name: opened.read(name).decode("utf-8")}
    assert str(generator(told)) == succeed("uv", "--version").split()[1]


@pytest.mark.parametrize("answers", capability_sets(), ids=label)
def test_what_is_imported_is_declared(answers: dict[str, str | bool], rendered: Render, python: Path) -> None:
    succeed(python.with_name("deptry"), "src", cwd=rendered(**answers))


def test_a_missing_declaration_is_noticed(fresh: Render, python: Path) -> None:
    service = fresh()
    pyproject = service / "pyproject.toml"
    pyproject.write_text(pyproject.read_text(encoding="utf-8").replace('  "pydantic",\n', ""), encoding="utf-8")
    done = run(python.with_name("deptry"), "src", cwd=service)
    assert done.returncode != 0
    assert "pydantic" in done.stderr
