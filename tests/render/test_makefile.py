"""The service's own commands, on a bare machine: Python, git and make, and no uv."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from children import child
from commands import run, succeed
from conftest import Render, commit, git
from environments import ADDRESS, CHASSIS_VERSION, EVERYTHING, TEMPLATE, without_project

CERTIFICATES = ("SSL_CERT_FILE", "PIP_CERT", "PIP_INDEX_URL", "UV_INDEX_URL")


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which little more than Python, git and make is found."""
    tools = tmp_path_factory.mktemp("bare")
    (tools / "python3").symlink_to(Path(sys.executable).resolve())
    kept = {name: os.environ[name] for name in ("HOME", "LANG", *CERTIFICATES) if name in os.environ}
    environment = {**kept, "PATH": f"{tools}:/usr/bin:/bin"}
    assert run("bash", "-c", "command -v uv", env=environment).returncode != 0
    return environment


def test_a_second_chassis_is_refused_by_every_command(fresh: Render) -> None:
    service = fresh()
    (service / "src/chassis").mkdir()
    (service / "src/chassis/__init__.py").touch()
    done = run("make", "help", cwd=service, env=without_project())
    assert done.returncode == 2
    assert "src/chassis is a second chassis" in done.stderr
    assert "git rm -r src/chassis" in done.stderr


@pytest.mark.parametrize("of", ["service", "template"])
def test_the_help_has_two_columns(of: str, rendered: Render) -> None:
    folder = rendered() if of == "service" else TEMPLATE
    targets = re.findall(r"^  make \S+ +", succeed("make", "help", cwd=folder, env=without_project()), re.MULTILINE)
    assert len(targets) > 10
    assert len({len(target) for target in targets}) == 1


@pytest.mark.parametrize(("target", "failing"), [("build", "vendor/chassis"), ("chart", "values.production.yaml")])
@pytest.mark.parametrize("make", ["4", "3.81"])
def test_the_first_of_several_that_fails_ends_the_target(
    make: str, target: str, failing: str, fresh: Render, tmp_path: Path
) -> None:
    """With the make 3.81 of macOS, too, which takes no options for its shell."""
    tool = tmp_path / "tool"
    tool.write_text(f'#!/bin/sh\ncase "$*" in *{failing}) echo asked; exit 1;; esac\n', encoding="utf-8")
    tool.chmod(0o755)
    options = [".SHELLFLAGS=-c"] if make == "3.81" else []
    done = run("make", target, f"UV={tool}", f"HELM={tool}", *options, cwd=fresh(**EVERYTHING), env=without_project())
    assert (done.returncode, done.stdout.count("asked")) == (2, 1), done.stderr


@pytest.mark.parametrize("of", ["service", "template"])
def test_uv_asks_the_system_for_authorities_unless_somebody_says_otherwise(
    of: str, rendered: Render, tmp_path: Path
) -> None:
    """Behind a company's proxy they are nowhere else."""
    folder = rendered() if of == "service" else TEMPLATE
    (tmp_path / "show.mk").write_text("show:; @echo $$UV_SYSTEM_CERTS\n", encoding="utf-8")  # make 3.81 has no --eval
    show = ("make", "--silent", "--file", "Makefile", "--file", tmp_path / "show.mk", "show")
    bare = without_project("UV_SYSTEM_CERTS")
    assert succeed(*show, "STORES=/", cwd=folder, env=bare) == "true\n"
    assert succeed(*show, "STORES=/nowhere", cwd=folder, env=bare) == "false\n"
    assert succeed(*show, cwd=folder, env={**bare, "UV_SYSTEM_CERTS": "0"}) == "0\n"


@pytest.mark.slow
def test_its_commands_do_what_they_say_on_a_bare_machine(bare: dict[str, str], fresh: Render) -> None:
    service = fresh()
    commit(service, "Rendered")
    assert "make run" in succeed("make", cwd=service, env=bare)
    assert " passed" in succeed("make", "test", cwd=service, env=bare)
    assert (service / ".tools/bin/uv").exists()
    succeed("make", "lint", cwd=service, env=bare)
    succeed("make", "build", cwd=service, env=bare)
    wheels = sorted(wheel.name.partition("-py3")[0] for wheel in (service / "dist").glob("*.whl"))
    assert wheels == ["my_service-0.1.0", f"twelvefold_chassis-{CHASSIS_VERSION}+vendored"]
    hooks_pass_and_notice_what_is_wrong(service, bare)
    serves_and_stops(service, bare)
    assert git(service, "status", "--porcelain") == "?? uv.lock\n"
    follows_its_version_of_uv(service, bare)
    works_where_it_is_moved_to(service, bare)


def hooks_pass_and_notice_what_is_wrong(service: Path, environment: dict[str, str]) -> None:
    succeed("make", "hooks", cwd=service, env=environment)
    pre_commit = service / ".venv/bin/pre-commit"
    said = succeed(pre_commit, "run", "--all-files", cwd=service, env=environment)
    assert said.count("Passed") == 12
    broken = service / "src/my_service/broken.py"
    broken.write_text('x: int = "one"\n', encoding="utf-8")
    git(service, "add", "--intent-to-add", "src/my_service/broken.py")
    assert run(pre_commit, "run", "--all-files", cwd=service, env=environment).returncode != 0
    git(service, "reset", "--quiet")
    broken.unlink()


def serves_and_stops(service: Path, environment: dict[str, str]) -> None:
    with child("make", "run", cwd=service, env={**environment, "PORT": "0"}, stdout=subprocess.PIPE) as process:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if found := re.search(r"listening on (http://127\.0\.0\.1:\d+)", line):
                said = succeed("curl", "--silent", "--fail", f"{found[1]}/api/v1/greeting")
                assert said == '{"message":"Hello, World!"}'
                process.terminate()
                break
        else:
            raise AssertionError("".join(lines))
        rest = process.communicate(timeout=30)[0]
    assert "stopped" in rest


def follows_its_version_of_uv(service: Path, environment: dict[str, str]) -> None:
    makefile = service / "Makefile"
    text = makefile.read_text(encoding="utf-8")
    makefile.write_text(re.sub(r"UV_VERSION := \S+", "UV_VERSION := 0.13.8", text), encoding="utf-8")
    succeed("make", "lock", cwd=service, env=environment)
    assert "0.13.8" in succeed(service / ".tools/bin/uv", "--version")
    makefile.write_text(text, encoding="utf-8")


def works_where_it_is_moved_to(service: Path, environment: dict[str, str]) -> None:
    (service.parent / "sp ace").mkdir()
    moved = service.rename(service.parent / "sp ace" / service.name)
    assert " passed" in succeed("make", "test", cwd=moved, env=environment)
    assert "Installing" not in succeed("make", "lint", cwd=moved, env=environment)
    assert str(moved) in (moved / ".venv/bin/pytest").read_text(encoding="utf-8")


def test_a_machine_without_python_is_told_what_is_missing(bare: dict[str, str], fresh: Render, tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("bash", "make", "awk", "uname"):
        (tools / name).symlink_to(Path("/usr/bin") / name)
    done = run("make", "test", cwd=fresh(), env={**bare, "PATH": str(tools)})
    assert done.returncode == 2
    assert "Python 3.11 or newer is needed" in done.stdout + done.stderr


def test_a_team_adds_targets_of_its_own(fresh: Render) -> None:
    service = fresh()
    (service / "project.mk").write_text(".PHONY: ours\nours:\n\t@echo ours\n", encoding="utf-8")
    assert succeed("make", "ours", cwd=service, env=without_project()) == "ours\n"


def test_an_update_is_by_the_commit_of_the_newest_release(rendered: Render, tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.mkdir()
    (template / "file").touch()
    commit(template, "Begin")
    (tmp_path / "gitconfig").write_text(f'[url "{template}"]\n\tinsteadOf = {ADDRESS}\n')
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig")}

    def source(target: str) -> str:
        said = succeed("make", "--dry-run", target, cwd=rendered(), env=environment)
        return str(re.findall(rf"git\+{re.escape(ADDRESS)}@([^']*)'", said)[0])

    assert source("update") == "HEAD"  # nothing is released: the rollup says so
    for tag in ("0.9.0", "0.10.0", "0.11.0rc1", "latest"):
        git(template, "commit", "--quiet", "--allow-empty", "--message", tag)
        git(template, "tag", "--annotate", "--message", tag, tag)
    assert source("update") == source("propose") == git(template, "rev-parse", "0.10.0^{commit}").strip()
