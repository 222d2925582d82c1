"""The memory that the hook writes, and that it is a pure function of template and answers."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from answers import combinations, label, questions
from commands import succeed
from conftest import Render, commit, git
from environments import TEMPLATE, render
from trees import tree
from twelvefold.engine.template import find
from twelvefold.service import Service


def memory(service: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((service / ".twelvefold" / name).read_text(encoding="utf-8"))
    return content


@pytest.mark.parametrize("answers", combinations(), ids=label)
def test_only_declared_answers_are_stored(answers: dict[str, str | bool], rendered: Render) -> None:
    stored = memory(rendered(**answers), "answers.json")
    assert stored.keys() == questions().keys()
    assert answers.items() <= stored.items()


def test_the_template_s_address_and_version_are_stored(rendered: Render) -> None:
    declared = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    expected = {"url": declared["_template_url"], "version": declared["_template_version"]}
    stamp = memory(rendered(), "template.json")
    assert {name: stamp[name] for name in expected} == expected


def test_the_content_is_what_git_says_of_the_template(template: Path, rendered: Render) -> None:
    """So that a rollup knows without a render whether the template is another."""
    assert memory(rendered(), "template.json")["content"] == find(str(template), "HEAD").content()


def test_the_memory_is_sealed(fresh: Render) -> None:
    service = fresh()
    assert Service.open(service).remembers_itself
    manifest = service / ".twelvefold/manifest.json"
    manifest.write_text(manifest.read_text().replace("755", "644", 1).replace('"seeded"', '"owned"', 1))
    assert not Service.open(service).remembers_itself


@pytest.mark.parametrize("answers", combinations(), ids=label)
def test_the_manifest_tells_mode_and_hash_of_every_file(answers: dict[str, str | bool], rendered: Render) -> None:
    service = rendered(**answers)
    for path, entry in memory(service, "manifest.json").items():
        file = service / path
        assert entry["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest(), path
        assert entry["mode"] == f"{file.stat().st_mode & 0o777:o}", path


@pytest.mark.parametrize("answers", combinations(), ids=label)
def test_merged_files_are_kept_as_they_were_applied(answers: dict[str, str | bool], rendered: Render) -> None:
    service = rendered(**answers)
    merged = [path for path, entry in memory(service, "manifest.json").items() if entry["owner"] == "merged"]
    assert "pyproject.toml" in merged
    assert set(tree(service / ".twelvefold/applied")) == set(merged)
    for path in merged:
        assert (service / ".twelvefold/applied" / path).read_bytes() == (service / path).read_bytes()


def test_the_package_is_named_in_seeds_and_in_no_owned_file(rendered: Render) -> None:
    service = rendered(package_name="payments")
    assert "from payments.__main__ import service" in (service / "tests/test_greeting.py").read_text(encoding="utf-8")
    for path, (_, content) in tree(service).items():
        assert b"service_package" not in content, path
        if path.startswith("vendor/"):
            assert b"payments" not in content, path


@pytest.mark.parametrize("answers", combinations(), ids=label)
def test_vendor_holds_what_is_on_with_the_same_bytes_as_in_the_template(
    answers: dict[str, str | bool], rendered: Render
) -> None:
    on = [f"chassis-{question}" for question, answer in answers.items() if answer is True]
    vendor = rendered(**answers) / "vendor"
    assert sorted(path.name for path in vendor.iterdir()) == sorted(["README.md", "check.py", "chassis", *on])
    for folder in ("chassis", *on):
        assert tree(vendor, folder) == tree(TEMPLATE / "<<cookiecutter.project_slug>>/vendor", folder)


@pytest.mark.parametrize("answers", combinations(), ids=label)
def test_no_empty_folder_is_rendered(answers: dict[str, str | bool], rendered: Render) -> None:
    assert [folder for folder in rendered(**answers).rglob("*") if folder.is_dir() and not list(folder.iterdir())] == []


def test_the_render_depends_on_nothing_around_it(template: Path, tmp_path: Path) -> None:
    trees = []
    for number, surroundings in enumerate(
        [
            {"TZ": "UTC", "LC_ALL": "C", "PYTHONHASHSEED": "1"},
            {
                "TZ": "Asia/Tokyo",
                "LC_ALL": "C.UTF-8",
                "PYTHONHASHSEED": "2",
                "USER": "somebody",
                "HOSTNAME": "elsewhere",
            },
        ]
    ):
        output = tmp_path / f"{number}"
        output.mkdir()
        umask = "umask 077 && " if number else "umask 002 && "
        command = f'{umask}cookiecutter "$0" --no-input --default-config -o "$1" description="Größe 50 %"'
        succeed("bash", "-c", command, template, output, env={**os.environ, **surroundings})
        trees.append(tree(output))
    assert trees[0] == trees[1]


def test_bytecode_of_a_chassis_that_ran_in_place_is_not_rendered(template: Path, tmp_path: Path) -> None:
    cache = template / "<<cookiecutter.project_slug>>/vendor/chassis/src/chassis/__pycache__"
    cache.mkdir()
    (cache / "health.cpython-313.pyc").write_bytes(b"\0")
    succeed("cookiecutter", template, "--no-input", "--default-config", "-o", tmp_path)
    (cache / "health.cpython-313.pyc").unlink()
    cache.rmdir()
    assert list(tmp_path.rglob("__pycache__")) == []


def entries(folder: Path) -> dict[Path, tuple[int, bytes | str]]:
    """Map each path below `folder` to its mode and its bytes, or where it links to; folders have no bytes."""
    return {
        path: (
            path.lstat().st_mode,
            str(path.readlink()) if path.is_symlink() else b"" if path.is_dir() else path.read_bytes(),
        )
        for path in folder.rglob("*")
    }


def test_what_was_in_the_folder_before_is_left_as_it_was(rendered: Render, tmp_path: Path) -> None:
    service, outside = tmp_path / "my-service", tmp_path / "outside"
    (service / "src/theirs").mkdir(parents=True)
    outside.mkdir()
    for path in (service / "src/theirs/code.py", service / "tests.py", outside / "code.py"):
        path.write_text("import service_package\n", encoding="utf-8")
    commit(service, "Before")
    git(service, "gc", "--quiet")
    (service / ".env").touch(mode=0o600)
    (service / "empty").mkdir()
    (service / "link.py").symlink_to(outside / "code.py")
    (service / "src/linked").symlink_to(outside)
    (outside / "code.py").chmod(0o600)
    before = entries(tmp_path)
    succeed("cookiecutter", TEMPLATE, "--no-input", "--default-config", "-f", "-o", tmp_path)
    after = entries(tmp_path)
    assert {path: after.get(path) for path in before} == before
    git(service, "fsck", "--strict")
    assert git(service, "log", "--format=%s") == "Before\n"
    for name in ("manifest.json", "answers.json"):
        assert (service / ".twelvefold" / name).read_bytes() == (rendered() / ".twelvefold" / name).read_bytes()


@pytest.mark.parametrize("linked", ["vendor/chassis", ".twelvefold", "Makefile"])
def test_the_hook_follows_no_link(linked: str, tmp_path: Path) -> None:
    service, outside = tmp_path / "my-service", tmp_path / "outside"
    (service / linked).parent.mkdir(parents=True)
    if linked == "Makefile":
        outside.touch()
    else:
        outside.mkdir()
    (service / linked).symlink_to(outside)
    succeed("cookiecutter", TEMPLATE, "--no-input", "--default-config", "-f", "-o", tmp_path)
    assert (service / linked).is_symlink()
    manifest = service / ".twelvefold/manifest.json"
    if linked == ".twelvefold":
        assert list(outside.iterdir()) == []
    else:
        assert not any(path.startswith(linked) for path in json.loads(manifest.read_text(encoding="utf-8")))


def test_the_closing_message_names_the_next_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TWELVEFOLD_QUIET", raising=False)
    named = "project_name=Pay {api}"
    said = succeed("cookiecutter", TEMPLATE, "--no-input", "--default-config", named, cwd=tmp_path)
    assert "Pay {api} is ready in pay-api/" in said
    for line in ("cd pay-api", "make run", "make test"):
        assert line in said


def test_a_rollup_does_not_repeat_the_closing_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TWELVEFOLD_QUIET", "1")
    render(tmp_path)
    assert capfd.readouterr().out == ""
