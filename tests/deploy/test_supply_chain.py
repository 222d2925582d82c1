"""What is known of what is shipped: its parts, their licences, its history, its changes."""

from __future__ import annotations

import csv
import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from twelvefold_answers import distributions

from advisories import ADVISORY, VULNERABLE, advisories
from commands import Done, run, succeed
from conftest import Render, commit
from environments import CHASSIS_VERSION, EVERYTHING, without_project

NEITHER_SHIPPED_NOR_LOCKED = {"my-service"}


def make(service: Path, *arguments: str) -> Done:
    return run("make", *arguments, cwd=service, env=without_project())


def shipped(service: Path) -> dict[str, str]:
    """The distributions that the image holds and their versions, as the lock has them."""
    export = ("uv", "export", "--frozen", "--no-dev", "--no-emit-local", "--no-header", "--no-annotate", "--quiet")
    lines = succeed(*export, "--no-hashes", cwd=service, env=without_project()).splitlines()
    here = [line.partition(" ;")[0].strip() for line in lines if "win32" not in line and "python_full" not in line]
    return {normal(name): version for name, _, version in (line.partition("==") for line in here)}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.slow
@pytest.mark.parametrize("answers", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_the_parts_and_their_licences_are_listed(answers: dict[str, str | bool], fresh: Render) -> None:
    service = fresh(**answers)
    commit(service, "Rendered")
    for target in ("sbom", "licences"):
        done = make(service, target)
        assert done.returncode == 0, done.stdout + done.stderr
    bill = (service / "dist/sbom.cdx.json").read_bytes()
    found = json.loads(bill)
    listed = {normal(part["name"]): part["version"] for part in found["components"]}
    listed.pop("my-service", None)
    assert (found["bomFormat"], found["metadata"]["component"]["name"]) == ("CycloneDX", "my-service")
    vendored = {f"twelvefold-{name}": f"{CHASSIS_VERSION}+vendored" for name in distributions(answers)}
    assert listed == {**shipped(service), **vendored}
    assert str(service) not in bill.decode()
    assert "pytest" not in listed
    with (service / "dist/licences.csv").open(encoding="utf-8") as file:
        licensed = {normal(row["Name"]) for row in csv.DictReader(file)}
    assert licensed >= listed.keys()
    assert make(service, "sbom").returncode == 0
    assert (service / "dist/sbom.cdx.json").read_bytes() == bill
    refused = make(service, "licences", "LICENCES=BSD;Apache")
    assert refused.returncode != 0
    assert "MIT" in refused.stdout + refused.stderr


@pytest.mark.slow
def test_what_is_known_of_a_dependency_is_found_and_silence_is_no_answer(fresh: Render) -> None:
    service = fresh()
    with advisories() as variables:
        clean = run("make", "audit", cwd=service, env={**without_project(), **variables})
        assert clean.returncode == 0, clean.stdout + clean.stderr
        succeed("uv", "add", "--no-sync", "--quiet", VULNERABLE, cwd=service, env=without_project())
        found = run("make", "audit", cwd=service, env={**without_project(), **variables})
        assert found.returncode != 0
        assert re.search(rf"^{VULNERABLE} .* {ADVISORY}", found.stdout, re.MULTILINE)
    nobody = run("make", "audit", cwd=service, env={**without_project(), **variables})
    assert nobody.returncode != 0


@pytest.mark.slow
def test_what_the_lock_names_has_hashes_and_they_count(fresh: Render, python: Path) -> None:
    service = fresh()
    lock = service / "uv.lock"
    succeed("uv", "lock", "--quiet", cwd=service, env=without_project())
    text = lock.read_text(encoding="utf-8")
    packages = [each for each in tomllib.loads(text)["package"] if "registry" in each["source"]]
    files = [
        file for each in packages for file in (*each.get("wheels", []), each.get("sdist", {"hash": "sha256:none"}))
    ]
    assert len(files) > 50
    assert all(file["hash"].startswith("sha256:") for file in files)
    (click,) = [each for each in packages if each["name"] == "click"]
    (wheel,) = click["wheels"]
    lock.write_text(text.replace(wheel["hash"], f"sha256:{'0' * 64}"), encoding="utf-8")
    synced = run("uv", "sync", "--frozen", "--no-dev", "--no-install-project", cwd=service, env=without_project())
    assert synced.returncode != 0
    assert "Hash mismatch" in synced.stderr


@pytest.mark.slow
def test_a_secret_in_the_history_is_found(fresh: Render) -> None:
    service = fresh()
    commit(service, "Rendered")
    done = make(service, "secrets")
    assert done.returncode == 0, done.stdout + done.stderr
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    (service / "notes.txt").write_text(f'token = "{token}"\n', encoding="utf-8")
    commit(service, "Write something down")
    (service / "notes.txt").unlink()
    commit(service, "Nobody will see it now")
    done = make(service, "secrets")
    assert done.returncode != 0
    assert "leaks found: 1" in done.stdout + done.stderr
    assert token not in done.stdout + done.stderr


def test_the_notes_of_a_release_are_its_section(fresh: Render) -> None:
    service = fresh()
    changes = "# Changes\n\n## 1.2.0 (2026-12-01)\n\n- Faster.\n\n- Safer.\n\n## 1.1.0\n\n- First.\n"
    (service / "CHANGELOG.md").write_text(changes, encoding="utf-8")
    assert make(service, "notes", "VERSION=1.1.0").stdout == "- First.\n"
    assert make(service, "notes", "VERSION=1.2.0").stdout == "- Faster.\n\n- Safer.\n\n"
    assert (service / "dist/notes.md").read_text(encoding="utf-8") == "- Faster.\n\n- Safer.\n\n"
    missing = make(service, "notes", "VERSION=1.2")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "CHANGELOG.md has no section: ## 1.2" in missing.stderr


def test_the_seeded_notes_are_of_the_first_version(fresh: Render) -> None:
    assert make(fresh(), "notes", "VERSION=0.1.0").returncode == 0


@pytest.mark.parametrize("target", ["scan", "image", "push"])
def test_a_missing_tool_is_named(target: str, fresh: Render) -> None:
    done = make(fresh(), target, "BUILDER=no-such-builder")
    assert done.returncode == 2
    assert re.search(r"^(trivy|no-such-builder) is needed, and not on the PATH\.$", done.stdout, re.MULTILINE)


def test_renovate_leaves_to_the_template_what_is_its_own(rendered: Render, tmp_path: Path) -> None:
    check = ("check-jsonschema", "--builtin-schema", "vendor.renovate")
    file = rendered() / "renovate.json"
    succeed(*check, file)
    told = json.loads(file.read_text(encoding="utf-8"))
    assert told["enabledManagers"] == ["pep621"]
    (rule,) = told["packageRules"]
    assert (rule["enabled"], rule["matchDepTypes"]) == (False, ["build-system.requires"])
    broken = tmp_path / "renovate.json"
    broken.write_text(json.dumps({**told, "enabledManagers": "pep621"}), encoding="utf-8")
    assert run(*check, broken).returncode != 0


def test_an_image_is_built_by_the_uv_that_made_the_lock(rendered: Render) -> None:
    texts = [(rendered() / name).read_text(encoding="utf-8") for name in ("Makefile", "Dockerfile")]
    versions = [re.findall(r"(?:UV_VERSION := |\buv==)([\d.]+)", text) for text in texts]
    assert all(versions)
    (version,) = {version for found in versions for version in found}
    # It builds the service itself if it may; a backend from an index would be any version of the range.
    pyproject = tomllib.loads((rendered() / "pyproject.toml").read_text(encoding="utf-8"))
    (backend,) = map(Requirement, pyproject["build-system"]["requires"])
    assert (backend.name, version in backend.specifier) == ("uv_build", True)


@pytest.mark.parametrize(("builder", "has"), [("docker", False), ("podman", True), ("/usr/bin/buildah", True)])
def test_each_builder_is_given_what_it_understands(builder: str, has: bool, fresh: Render) -> None:
    done = make(fresh(), "--dry-run", "image", f"BUILDER={builder}", "TAG=1.2.3", "SOURCE_DATE_EPOCH=7")
    assert f"SOURCE_DATE_EPOCH=7 {builder} build --tag 'my-service:1.2.3'" in done.stdout
    assert ("--format docker --timestamp 7" in done.stdout) is has
