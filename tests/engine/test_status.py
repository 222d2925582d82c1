"""`twelvefold status`: read aloud, every line is true before anybody has updated anything."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from conftest import commit, git
from histories import History, edit, rolled_up, twelvefold, write
from trees import tree
from twelvefold.service import Repository


def said(service: Path, history: History) -> tuple[int, list[str]]:
    before = tree(service)
    done = twelvefold("status", service, "--template", history.repository)
    assert tree(service) == before
    return done.exit_code, done.output.splitlines()


def told(service: Path, history: History) -> dict[str, Any]:
    done = twelvefold("status", service, "--template", history.repository, "--json")
    data: dict[str, Any] = json.loads(done.output)
    assert done.exit_code == (0 if data["in_step"] else 1)
    return data


def test_in_step(history: History, service: Path) -> None:
    edit(service, "pyproject.toml", "line-length = 100", "line-length = 120")
    edit(service, "seeds/api.py", "team", "others")
    assert said(service, history) == (0, ["pay-api: 0.1.0", "In step with the template."])
    assert told(service, history) == {
        "service": "pay-api",
        "version": "0.1.0",
        "newest": "0.1.0",
        "in_step": True,
        "outdated": False,
        "interrupted": False,
        "drift": [],
        "workspace": [],
        "note": "",
    }


def test_drift_is_said_as_it_is_now(history: History, service: Path) -> None:
    write(service, "owned/core.py", "OURS = 1\n")
    (service / "Makefile").unlink()
    (service / "owned/run.sh").chmod(0o644)
    edit(service, "pyproject.toml", "click==8", "click==7")
    edit(service, "ci.yml", "\ntest:\n  stage: test\n  script:\n    - make test\n", "")
    edit(service, "notes.txt", "two", "zwei")
    assert said(service, history) == (
        1,
        [
            "pay-api: 0.1.0",
            "Makefile is missing",
            "owned/core.py is not as the template has it",
            "owned/run.sh is not executable, other than in the template",
            "ci.yml: test is missing",
            'pyproject.toml: tool.uv.constraint-dependencies = ["click==7", "fastapi==0.100"] is not as the template '
            'has it: ["click==8", "fastapi==0.100"]',
            "Not in step. To fix it: twelvefold rollup",
        ],
    )
    data = told(service, history)
    assert {"path": "Makefile", "key": "", "sentence": "is missing"} in data["drift"]
    assert [one["key"] for one in data["drift"] if one["path"] == "pyproject.toml"] == [
        "tool.uv.constraint-dependencies"
    ]
    commit(service, "Drift")
    rolled_up(history, service, "0.1.0", exit_code=2)
    assert said(service, history)[0] == 0


def test_a_newer_release(history: History, service: Path) -> None:
    history.release("0.2.0", {"owned/core.py": "NEW = 2\n"})
    assert said(service, history) == (
        1,
        [
            "pay-api: 0.1.0",
            "An update to 0.2.0 is there. To see it: twelvefold rollup --diff",
            "Not in step. To fix it: twelvefold rollup",
        ],
    )
    rolled_up(history, service, "0.2.0")
    assert said(service, history)[0] == 0


def test_a_service_that_is_ahead_of_the_releases(history: History, service: Path) -> None:
    history.files["owned/core.py"] = "NEW = 2\n"
    history.write("0.2.0.dev")
    commit(history.repository, "Not released")
    rolled_up(history, service, "main")
    assert said(service, history) == (0, ["pay-api: 0.2.0.dev", "In step with the template."])


def test_no_release(history: History, service: Path) -> None:
    git(history.repository, "tag", "--delete", "0.1.0")
    assert said(service, history) == (
        0,
        [
            "pay-api: 0.1.0",
            "The template has no release yet. Merged files were not compared.",
            "In step with the template, as far as can be told.",
        ],
    )


def test_a_template_that_is_not_there(history: History, service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWELVEFOLD_CACHE", str(history.repository.parent / "cache"))
    write(service, "owned/core.py", "OURS = 1\n")
    done = twelvefold("status", service, "--template", "http://user:t0k3n@127.0.0.1:1/template.git")
    lines = done.output.splitlines()
    assert done.exit_code == 1
    assert lines[1].startswith(
        "The newest release is not known: git fetch: fatal: unable to access 'http://127.0.0.1:1/"
    )
    assert lines[2] == "owned/core.py is not as the template has it"
    shutil.rmtree(history.repository)
    assert told(service, history)["note"].startswith(
        f"The newest release is not known: {history.repository} is no folder"
    )


def test_an_update_that_was_interrupted(history: History, service: Path) -> None:
    state = Repository.around(service).state
    state.mkdir(parents=True)
    (state / "journal.json").write_text("{}")
    assert said(service, history) == (
        1,
        [
            "pay-api: 0.1.0",
            "An update was interrupted. To finish it: twelvefold rollup",
            "Not in step. To fix it: twelvefold rollup",
        ],
    )
    assert told(service, history)["interrupted"] is True


def test_answers_that_were_changed_by_hand(history: History, service: Path) -> None:
    edit(service, ".twelvefold/answers.json", '"database": false', '"database": true')
    code, lines = said(service, history)
    assert (code, lines[1]) == (1, ".twelvefold is not as the last update wrote it")


def test_a_file_that_could_not_be_merged(history: History, service: Path) -> None:
    write(service, "pyproject.toml", "[project\n")
    code, lines = said(service, history)
    assert code == 1
    assert lines[1].startswith("pyproject.toml ")
    assert "Fix it and update again" in lines[1]
    pyproject = history.files["pyproject.toml"]
    history.release("0.2.0", {"pyproject.toml": pyproject.replace("= 100", "= 110")})
    rolled_up(history, service, "0.2.0", exit_code=2)
    code, lines = said(service, history)
    assert code == 1
    assert lines[1].startswith("pyproject.toml was not merged by the last update")


def test_a_link_in_an_owned_file_s_place_is_named(history: History, service: Path) -> None:
    (service / "Makefile").unlink()
    (service / "Makefile").symlink_to("README.md")
    code, lines = said(service, history)
    assert (code, "Makefile is a symbolic link" in lines[0]) == (2, True)
