"""A service whose chassis is not in vendor/: it comes from an index with a password, or from the template's git."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from commands import run, succeed
from conftest import commit, git
from containers import built, container, needs_containers, run_once
from environments import CHASSIS_VERSION, TEMPLATE, render, without_project
from index_server import PASSWORD, USER, files, index
from wheels import build

FOLDER = "vendor/chassis"  # a link in the template: uv would escape the folder's own name


@dataclass(frozen=True)
class Elsewhere:
    """Where the chassis comes from: what cookiecutter.json says of it, and what lets one in."""

    settings: Mapping[str, str]
    netrc: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def service(self, folder: Path, **answers: bool) -> Path:
        service = render(folder, **answers, **self.settings)
        succeed("uv", "lock", "--quiet", cwd=service, env=self.environment())
        commit(service, "Rendered")
        return service

    def environment(self) -> dict[str, str]:
        return {**without_project(), **self.variables}


@contextlib.contextmanager
def from_index(folder: Path) -> Iterator[Elsewhere]:
    (folder / "wheels").mkdir()
    build(folder / "wheels")
    netrc = folder / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login {USER} password {PASSWORD}\n", encoding="utf-8")
    with index(folder / "wheels") as address:
        settings = {"_chassis": f"twelvefold-chassis=={CHASSIS_VERSION}", "_chassis_index": address}
        yield Elsewhere(settings, netrc, {"NETRC": str(netrc)})


@contextlib.contextmanager
def from_git(folder: Path) -> Iterator[Elsewhere]:
    """Of this checkout as it is, committed or not."""
    work, vendor = folder / "work", "<<cookiecutter.project_slug>>/vendor"
    shutil.copytree(TEMPLATE / vendor, work / vendor, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(TEMPLATE / "vendor", work / "vendor", follow_symlinks=False)
    commit(work, "As it is")
    git(folder, "clone", "--quiet", "--bare", str(work), str(folder / "template.git"))
    git(folder / "template.git", "update-server-info")
    with files(folder) as address:
        where = f"git+{address}/template.git@{git(work, 'rev-parse', 'HEAD').strip()}#subdirectory={FOLDER}"
        yield Elsewhere({"_chassis": f"twelvefold-chassis @ {where}"})


WAYS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Elsewhere]]] = {"index": from_index, "git": from_git}


@pytest.fixture(scope="module", params=WAYS)
def elsewhere(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    with WAYS[request.param](tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.mark.slow
def test_it_is_locked_installed_and_its_tests_pass(elsewhere: Elsewhere, tmp_path: Path) -> None:
    service = elsewhere.service(tmp_path, tasks=True)
    assert not (service / "vendor").exists()
    assert not [path for path in manifest(service) if path.startswith("vendor/")]
    for command in (["sync", "--frozen", "--quiet"], ["run", "--frozen", "pytest", "-q"], ["run", "--frozen", "mypy"]):
        succeed("uv", *command, cwd=service, env=elsewhere.environment())
    assert PASSWORD not in (service / "uv.lock").read_text(encoding="utf-8")
    succeed("make", "audit", "TOOL=:", cwd=service, env=elsewhere.environment())
    audited = (service / ".tools/requirements.txt").read_text(encoding="utf-8")
    assert "\nfastapi==" in audited
    assert "twelvefold" not in "".join(line for line in audited.splitlines() if not line.lstrip().startswith("#"))
    listed = succeed("uv", "pip", "list", cwd=service, env=elsewhere.environment())
    assert "twelvefold-chassis-tasks" in listed
    assert "twelvefold-chassis-auth" not in listed


@pytest.mark.slow
def test_without_the_password_it_is_refused(tmp_path: Path) -> None:
    with from_index(tmp_path) as found:
        service = render(tmp_path / "service", **found.settings)
        done = run("uv", "lock", cwd=service, env={**without_project(), "NETRC": os.devnull})
    assert done.returncode != 0
    assert "twelvefold-chassis" in done.stderr


@pytest.mark.slow
def test_its_image_runs_and_holds_no_password(elsewhere: Elsewhere, tmp_path: Path) -> None:
    needs_containers()
    service = elsewhere.service(tmp_path / "service")
    with built(service, "elsewhere", **({"NETRC": str(elsewhere.netrc)} if elsewhere.netrc else {})) as image:
        told = run_once(image, "version", bundle=tmp_path)
        assert f"chassis {CHASSIS_VERSION}" in told.stdout
        with container(image, bundle=tmp_path, PORT="0") as serving:
            assert serving.running.get("/api/v1/greeting").status == 200
        paths = [path for path in image.root.rglob("*") if path.is_file() and not path.is_symlink()]
        own = [path for path in paths if {"venv", "app", "root"} & {*path.relative_to(image.root).parts[:1]}]
        assert own
        assert not [path for path in own if PASSWORD.encode() in path.read_bytes()]


INDEX = {"_chassis": "twelvefold-chassis==0.3.0", "_chassis_index": "https://index.example:8443/simple/"}
LENT = {"UV_INDEX_CHASSIS_USERNAME": USER, "UV_INDEX_CHASSIS_PASSWORD": "$(shell touch made) $1"}
# Prints the secret that it was lent, and whether others may read it.
BUILDER = """#!/bin/sh
file=$(printf '%s\\n' "$@" | sed -n 's/id=netrc,src=//p')
test -z "$file" || { cat "$file"; stat -c %a "$file"; }
"""


@pytest.mark.parametrize("variables", [LENT, {}], ids=["lent", "not lent"])
def test_the_build_of_an_image_is_lent_what_the_pipeline_has(variables: dict[str, str], tmp_path: Path) -> None:
    service = render(tmp_path / "service", **INDEX)
    (service / "uv.lock").touch()
    builder = tmp_path / "builder"
    builder.write_text(BUILDER, encoding="utf-8")
    builder.chmod(0o755)
    environment = {**without_project(), "HOME": str(tmp_path), **variables}
    environment.pop("NETRC", None)
    done = run("make", "image", f"BUILDER={builder}", "VERSION=1", cwd=service, env=environment)
    assert done.returncode == 0, done.stderr
    given = f"machine index.example login {USER} password {LENT['UV_INDEX_CHASSIS_PASSWORD']}\n600\n"
    assert done.stdout.endswith(given) == bool(variables)
    assert not (service / ".tools/netrc").exists()
    assert not (service / "made").exists()


def asks_for_the_chassis(step: dict[str, Any]) -> bool:
    return bool(re.search(r"make (?!deploy|release-check)", step.get("run", "")))


@pytest.mark.parametrize("settings", [INDEX, {}], ids=["index", "vendored"])
def test_github_gives_who_may_fetch_it_to_the_steps_that_do(settings: dict[str, str], tmp_path: Path) -> None:
    service = render(tmp_path / "service", ci="github", **settings)
    steps = [
        step
        for path in service.glob(".github/workflows/*.yml")
        for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
        for step in job["steps"]
    ]
    assert len([step for step in steps if asks_for_the_chassis(step)]) == 6
    for step in steps:
        told = {name: value for name, value in step.get("env", {}).items() if name in LENT}
        wanted = bool(settings) and asks_for_the_chassis(step)
        assert told == ({name: f"${{{{ secrets.{name} }}}}" for name in LENT} if wanted else {})


def manifest(service: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads((service / ".twelvefold/manifest.json").read_text(encoding="utf-8"))
    return content
