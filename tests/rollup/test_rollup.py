"""`twelvefold rollup`, its main path: a service at one version comes to another."""

from __future__ import annotations

import json
import os
import ssl
from pathlib import Path

import pytest

from conftest import commit, git
from histories import History, edit, render, rolled_up, team_s, twelvefold, write
from trees import tree
from twelvefold.engine.rollup import lock_dependencies


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Made here and not copied: what its services remember as their template is this one."""
    repository = tmp_path / "template"
    repository.mkdir()
    history = History(repository)
    history.release("0.1.0")
    return history


@pytest.fixture
def service(history: History, tmp_path: Path) -> Path:
    return render(history, "0.1.0", tmp_path)


def test_right_after_a_render_there_is_nothing_to_do(history: History, service: Path) -> None:
    before = tree(service)
    assert "Nothing to do" in rolled_up(history, service, "0.1.0")
    assert "Nothing to do" in rolled_up(history, service, "0.1.0", "--check")
    assert tree(service) == before
    assert git(service, "status", "--porcelain") == ""


def test_a_service_without_edits_becomes_a_fresh_render(history: History, service: Path, tmp_path: Path) -> None:
    history.release(
        "0.2.0",
        {
            "owned/core.py": '"""Newer."""\n',
            "owned/more.py": "MORE = True\n",
            "owned/run.sh": None,
            "notes.txt": "one\ntwo\n3\nfour\nfive\n",
            "seeds/api.py": '"""Only for new services."""\n',
            "seeds/other.py": "",
        },
    )
    seed = (service / "seeds/api.py").read_text()
    rolled_up(history, service, "0.2.0")
    (tmp_path / "fresh").mkdir()
    fresh = render(history, "0.2.0", tmp_path / "fresh")
    write(fresh, "seeds/api.py", seed)
    assert tree(service) == tree(fresh)


def test_an_ordinary_day(history: History, service: Path) -> None:
    """The most ordinary edit there is: a dependency of the team's beside one of the template's."""
    edit(service, "pyproject.toml", '  "click",\n', '  "aiofiles",  # for uploads\n  "click",\n')
    edit(service, "pyproject.toml", "line-length = 100", "line-length = 120")
    edit(service, "ci.yml", "\ntest:\n", "\nours:\n  script: [make ours]\n\ntest:\n")
    edit(service, ".gitignore", "*.pyc\n", "*.pyc\n!keep.pyc\n")
    write(service, "README.md", "# Ours\n")
    (service / "seeds/api.py").unlink()
    pyproject = history.files["pyproject.toml"]
    history.release(
        "0.2.0",
        {
            "pyproject.toml": pyproject.replace('  "click",\n', '  "anyio",\n  "click",\n').replace("= 100", "= 110"),
            "ci.yml": history.files["ci.yml"].replace("make lint", "make lint types"),
        },
    )
    said = rolled_up(history, service, "0.2.0")
    assert "pyproject.toml: kept yours: tool.ruff.line-length = 120 (template: 110)" in said
    text = (service / "pyproject.toml").read_text()
    assert '  "aiofiles",  # for uploads\n' in text
    assert '  "anyio",\n' in text
    assert "make lint types" in (service / "ci.yml").read_text()
    assert "make ours" in (service / "ci.yml").read_text()
    assert (service / "README.md").read_text() == "# Ours\n"
    assert not (service / "seeds/api.py").exists()
    assert "Nothing to do" in rolled_up(history, service, "0.2.0")


def test_a_healed_edit_is_reported_with_its_patch(history: History, service: Path, tmp_path: Path) -> None:
    before = team_s(service)
    write(service, "owned/core.py", "patched = True\n")
    (service / "Makefile").unlink()
    report = tmp_path / "report.json"
    said = rolled_up(history, service, "0.1.0", "--report", str(report), exit_code=2)
    assert "owned/core.py: put back as the template has it" in said
    assert team_s(service) == before
    told = json.loads(report.read_text())
    assert told["needs_person"] is True
    assert "-patched = True" in told["decisions"][1]["patch"]
    assert "Makefile" in told["decisions"][0]["path"]


def test_check_and_diff_write_nothing_and_agree(history: History, service: Path) -> None:
    history.release("0.2.0", {"owned/core.py": "NEW = 1\n"})
    before = tree(service)
    assert "owned/core.py" in rolled_up(history, service, "0.2.0", "--check", exit_code=1)
    assert "+NEW = 1" in rolled_up(history, service, "0.2.0", "--diff", exit_code=1)
    assert tree(service) == before


def test_status_says_what_is_not_in_step(history: History, service: Path) -> None:
    done = twelvefold("status", service)
    assert (done.exit_code, "In step" in done.output) == (0, True)
    history.release("0.2.0", {"owned/core.py": "NEW = 1\n"})
    (service / "Makefile").unlink()
    done = twelvefold("status", service, "--json")
    told = json.loads(done.output)
    assert (done.exit_code, told["version"], told["newest"], told["outdated"]) == (1, "0.1.0", "0.2.0", True)
    assert [one["path"] for one in told["drift"]] == ["Makefile"]


def test_a_file_takes_the_place_of_a_folder_and_a_folder_that_of_a_file(history: History, service: Path) -> None:
    history.release("0.2.0", {"owned/thing/inner.txt": "inner\n"})
    history.release("0.3.0", {"owned/thing/inner.txt": None, "owned/thing": "thing\n"})
    history.release("0.4.0", {"owned/thing": None, "owned/thing/inner.txt": "inner\n"})
    rolled_up(history, service, "0.2.0")
    rolled_up(history, service, "0.3.0")
    assert (service / "owned/thing").read_text() == "thing\n"
    rolled_up(history, service, "0.4.0")
    assert (service / "owned/thing/inner.txt").read_text() == "inner\n"


@pytest.mark.parametrize("theirs", ["owned/thing/theirs.txt", "owned/thing/empty/"])
def test_a_folder_of_the_team_s_does_not_make_room_for_a_file(theirs: str, history: History, service: Path) -> None:
    history.release("0.2.0", {"owned/thing/inner.txt": "inner\n"})
    history.release("0.3.0", {"owned/thing/inner.txt": None, "owned/thing": "thing\n"})
    rolled_up(history, service, "0.2.0")
    if theirs.endswith("/"):
        (service / theirs).mkdir()
    else:
        write(service, theirs, "theirs\n")
    before = tree(service)
    assert "owned/thing is a folder, and a file in the template" in refused(history, service, "0.3.0")
    assert tree(service) == before


def refused(history: History, service: Path, ref: str) -> str:
    if git(service, "status", "--porcelain"):
        commit(service, "The team's")
    done = twelvefold("rollup", service, "--template", str(history.repository), "--ref", ref, "--no-lock")
    assert done.exit_code == 2, done.output
    return done.output


def test_a_byte_order_mark_is_no_reason_to_fail(history: History, service: Path) -> None:
    text = (service / "pyproject.toml").read_text()
    write(service, "pyproject.toml", "\ufeff" + text)
    history.release("0.2.0", {"pyproject.toml": history.files["pyproject.toml"].replace("= 100", "= 110")})
    rolled_up(history, service, "0.2.0")
    assert (service / "pyproject.toml").read_text() == "\ufeff" + text.replace("= 100", "= 110")


@pytest.mark.parametrize("said", ["", "false"])
def test_a_lock_is_made_as_make_makes_it(said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a uv that asks the system for authorities where it has any, unless somebody says otherwise."""
    uv = tmp_path / "uv"
    uv.write_text('#!/bin/sh\nprintf %s "$UV_SYSTEM_CERTS" >"$(dirname "$0")/told"\n', encoding="utf-8")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("UV_SYSTEM_CERTS", raising=False)
    if said:
        monkeypatch.setenv("UV_SYSTEM_CERTS", said)
    assert lock_dependencies(tmp_path) is None
    paths = ssl.get_default_verify_paths()
    assert (tmp_path / "told").read_text(encoding="utf-8") == (said or str(bool(paths.cafile or paths.capath)).lower())
