from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from conftest import commit, git
from histories import History, answers_of, twelvefold, write
from twelvefold.cli import main
from twelvefold.commands import ask, memo_of
from twelvefold.engine import transaction
from twelvefold.engine.plan import Plan
from twelvefold.engine.report import report_of
from twelvefold.engine.rollup import LastSteps, Rollup
from twelvefold.engine.template import Template
from twelvefold.engine.transaction import Change
from twelvefold.errors import RefusedError
from twelvefold.service import File, Repository, Service

QUESTIONS: dict[str, Any] = {
    "project_name": "My Service",
    "description": "A service.",
    "ci": ["gitlab", "github"],
    "database": False,
    "_template_url": "https://git.example.com",
    "__prompts__": {
        "project_name": "What is it called?",
        "ci": {"__prompt__": "Which CI?", "gitlab": "GitLab CI", "github": "GitHub Actions"},
    },
}


def asked(answers: dict[str, str | bool], typed: str) -> tuple[dict[str, str | bool], str]:
    """What `ask` returns and prints if somebody types that."""
    found: list[dict[str, str | bool]] = []
    command = click.Command("ask", callback=lambda: found.append(ask(answers, QUESTIONS)))
    done = CliRunner().invoke(command, input=typed, catch_exceptions=False)
    return found[0], done.output


def test_what_could_be_guessed_and_what_is_a_choice_is_asked() -> None:
    """Whatever else has a default that follows from these, or a wrong guess would be worse than none."""
    answers, said = asked({"project_name": "Billing"}, "Bills\ngithub\ny\n")
    assert answers == {"project_name": "Bills", "ci": "github", "database": True}
    assert said.startswith("What is it called? [Billing]: Bills\nWhich CI? (gitlab, github) [gitlab]: github\ndatabase")
    assert "description" not in said


def test_a_guess_is_taken_by_pressing_return() -> None:
    given: dict[str, str | bool] = {"project_name": "Billing", "ci": "github", "database": True}
    assert asked(given, "\n\n\n")[0] == given


def test_what_is_no_choice_is_asked_again() -> None:
    answers, said = asked({}, "jenkins\ngithub\nmaybe\nno\n")
    assert answers == {"ci": "github", "database": False}
    assert "'jenkins' is not one of" in said
    assert "'maybe' is not a valid boolean" in said


@pytest.mark.parametrize(("is_terminal", "options"), [(True, []), (True, ["--no-input"]), (False, [])])
def test_adopt_asks_on_a_terminal_unless_told_not_to(
    is_terminal: bool, options: list[str], history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "billing"
    write(repository, "app.py", "APP = 1\n")
    commit(repository, "Ours")
    stdin = SimpleNamespace(isatty=lambda: is_terminal)
    monkeypatch.setattr("twelvefold.commands.sys", SimpleNamespace(stdin=stdin))
    arguments = ["adopt", str(repository), "--template", str(history.repository), "--yes", "--no-lock", *options]
    done = CliRunner().invoke(main, arguments, input="Bills\nbills\ngithub\nno\n", catch_exceptions=False)
    assert done.exit_code == 0, done.output
    is_asked = is_terminal and not options
    name, ci = ("Bills", "github") if is_asked else ("Billing", "gitlab")
    assert ("project_slug [billing]" in done.output) == is_asked
    assert (answers_of(repository)["project_name"], answers_of(repository)["ci"]) == (name, ci)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    write(tmp_path / "service", "file", "old")
    commit(tmp_path / "service", "Begin")
    return Repository.around(tmp_path / "service")


@pytest.mark.parametrize(
    "memo",
    [
        {},
        {"last": {}, "report": {}},
        {"last": {"lock": False, "unknown": 1}, "report": {}},
        {"last": [], "report": []},
        {"last": None, "report": None},
    ],
    ids=str,
)
def test_a_journal_without_what_comes_afterwards_is_damaged(memo: dict[str, Any], repository: Repository) -> None:
    change = Change("file", File(b"old"), File(b"new"))
    transaction.apply([change], repository.service, repository.state, memo)
    with pytest.raises(
        RefusedError, match=r"The journal of an interrupted update is damaged\. To give that update up:"
    ):
        memo_of(repository)
    done = twelvefold("rollup", repository.service)
    assert done.exit_code == 2
    assert transaction.is_open(repository.state)


@pytest.mark.parametrize(
    ("stamp", "old"), [({}, ""), ({"url": "x"}, "an unknown version"), ({"version": "0.1.0"}, "0.1.0")]
)
def test_a_report_says_from_where_if_there_is_a_where(stamp: dict[str, str], old: str, repository: Repository) -> None:
    service = Service(repository.service, stamp=stamp)
    template = Template(repository.service, "/template", "main", "0" * 40)
    report = report_of(Rollup(service, repository, template, "0.2.0", Plan()), was_applied=False)
    assert (report.service, report.old, report.new) == ("service", old, "0.2.0")


def test_what_a_killed_update_was_asked_for_is_what_is_done(history: History, service: Path, tmp_path: Path) -> None:
    """The memo has the steps by name, so that an older or newer engine can read them."""
    last = LastSteps(lock=False, commit=True, branch="up")
    told = {
        "service": "pay-api",
        "template": "/t",
        "old": "1",
        "new": "2",
        "commit": "",
        "changes": [],
        "decisions": [],
    }
    report = {**told, "notes": [], "was_applied": True}
    here = Repository.around(service)
    core = (service / "owned/core.py").read_bytes()
    memo = {"last": {"lock": False, "commit": True, "branch": "up"}, "report": report}
    transaction.apply([Change("owned/core.py", File(core), File(b"NEW = 2\n"))], service, here.state, memo)
    assert memo_of(here)[0] == last
    assert memo_of(here)[1].new == "2"
    assert json.loads((here.state / transaction.JOURNAL).read_bytes())["memo"]["last"] == memo["last"]
    done = twelvefold("rollup", service, "--template", history.repository, "--no-lock")
    assert done.exit_code == 2
    assert "belongs on the branch up. Run: git switch up" in done.output
    assert git(service, "branch", "--show-current").strip() == "main"
