"""One service's turn: what is refused, what is told, and what nobody gets to see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from conftest import commit, git
from fleets import Fleet
from forge_server import TOKEN, serving
from histories import History
from twelvefold.engine import template as templates
from twelvefold.fleet import jobs
from twelvefold.fleet.command import Order
from twelvefold.fleet.jobs import Job
from twelvefold.fleet.propose import Wish
from twelvefold.fleet.results import Result, Results, TurnOutcome

Make = Callable[..., Job]


@pytest.fixture
def make(history: History, tmp_path: Path) -> Make:
    """A job that runs a command in a repository with one file."""
    (tmp_path / "work").mkdir()
    (tmp_path / "work/a.txt").write_text("a\n")
    commit(tmp_path / "work", "Begin")
    (tmp_path / "git/acme").mkdir(parents=True)
    git(tmp_path, "clone", "--quiet", "--bare", "work", "git/acme/pay.git")
    template = templates.find(str(history.repository), None)

    def made(*command: str, branch: str = "chore/it", folder: str = "", **values: Any) -> Job:
        known = {
            "url": str(tmp_path / "git/acme/pay.git"),
            "results": tmp_path / "results",
            "clones": tmp_path / "clones",
            "run": "now",
            **values,
        }
        wish = Wish(str(history.repository), branch=branch, folder=folder)
        return Job("pay", "pay", wish=wish, template=template, order=Order(command, "chore: it", folder), **known)

    return made


def test_the_branch_of_requests_is_never_the_main_branch(make: Make) -> None:
    result = jobs.run(make("true", branch="main"))
    assert result.outcome is TurnOutcome.PERSON
    assert "main is the main branch there" in result.sentence


@pytest.mark.parametrize(
    ("url", "forge_url"),
    [
        ("https://evil.example.com/acme/pay.git", "https://gitlab.example.com"),
        ("http://gitlab.example.com/acme/pay.git", "https://gitlab.example.com"),
        ("https://gitlab.example.com.evil.com/a", "https://gitlab.example.com"),
        ("https://github.com.evil.com/a", "https://api.github.com"),
    ],
)
def test_the_token_is_for_the_forge_s_host_alone(
    url: str, forge_url: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "heads", lambda *_: pytest.fail("it was asked"))
    result = jobs.run(make("true", url=url, forge_url=forge_url, token=TOKEN, forge="gitlab"))
    assert result.outcome is TurnOutcome.PERSON
    assert "and the token is for " in result.sentence


@pytest.mark.parametrize(
    ("url", "forge_url"),
    [
        ("https://github.com/a/b", "https://api.github.com"),
        ("https://ghe.example.com/a/b", "https://ghe.example.com/api/v3"),
    ],
)
def test_a_forge_s_api_may_have_a_name_of_its_own(
    url: str, forge_url: str, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def heads(remote: Any, branch: str) -> None:
        asked.append(remote.token)
        raise ZeroDivisionError("no further")

    monkeypatch.setattr(jobs, "heads", heads)
    result = jobs.run(make("true", url=url, forge_url=forge_url, token=TOKEN, forge="github"))
    assert asked == [TOKEN]
    assert (result.outcome, result.sentence) == (TurnOutcome.FAILED, "ZeroDivisionError: no further")


def test_a_command_in_a_repository_does_not_see_the_token(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANY_NAME", TOKEN)
    with serving(tmp_path / "git") as forge:
        for setting in ("http.receivepack", "uploadpack.allowFilter"):
            git(tmp_path / "git/acme/pay.git", "config", setting, "true")
        at_forge = {"url": f"{forge.url}/acme/pay.git", "forge_url": forge.url, "token": TOKEN}
        result = jobs.run(make("sh", "-c", "env; git config --list; exit 1", **at_forge, forge="gitlab"))
        seen = jobs.run(make("sh", "-c", "env >seen; git config --list >>seen", **at_forge, forge="gitlab"))
    assert result.outcome is TurnOutcome.FAILED
    assert seen.outcome is TurnOutcome.PROPOSED, seen.sentence
    told = git(tmp_path / "git/acme/pay.git", "show", "chore/it:seen")
    assert "PATH=" in told
    assert TOKEN not in told
    assert "extraheader" not in told.lower()
    assert "GIT_CONFIG_VALUE" not in told


def test_what_is_told_obeys_no_terminal_and_has_no_token(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    result = jobs.run(make("printf", f"\x1b[2Jgone\x07 \u202e{TOKEN} %z", token=TOKEN))
    assert result.outcome is TurnOutcome.FAILED
    assert result.sentence.isprintable()
    assert "[2Jgone" in result.sentence
    assert TOKEN not in result.sentence
    assert "***" in result.sentence


def test_a_report_has_no_token_either() -> None:
    said = Result("pay", "u", TurnOutcome.PERSON, sentence=f"It says {TOKEN}.", report=f"# Kept yours: {TOKEN}")
    kept = jobs._scrubbed(said, TOKEN)
    assert (kept.sentence, kept.report) == ("It says ***.", "# Kept yours: ***")
    assert jobs._scrubbed(said, None) == said


def test_a_service_whose_memory_is_a_link_needs_a_person(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add("pay")
    git(fleet.folder, "clone", "--quiet", "git/pay.git", "scratch")
    memory = fleet.folder / "scratch/.twelvefold"
    memory.rename(tmp_path / "memory")
    memory.symlink_to(tmp_path / "memory")
    commit(fleet.folder / "scratch", "A link")
    git(fleet.folder / "scratch", "push", "--quiet", "origin", "HEAD:main")
    before = {path: path.read_bytes() for path in (tmp_path / "memory").rglob("*") if path.is_file()}
    result = fleet.rollup(exit_code=2)["pay"]
    assert ".twelvefold is a symbolic link" in result.sentence
    assert before == {path: path.read_bytes() for path in (tmp_path / "memory").rglob("*") if path.is_file()}


def test_two_workers_are_never_at_one_clone(make: Make, tmp_path: Path) -> None:
    job = make("sh", "-c", "echo b >b.txt")
    (tmp_path / "clones").mkdir()
    with FileLock(tmp_path / "clones/pay.lock", thread_local=False):
        result = jobs.run(replace(job, seconds=0.5))
    assert (result.outcome, result.sentence) == (
        TurnOutcome.FAILED,
        "Another run is at this service still. Try again later.",
    )
    assert jobs.run(job).outcome is TurnOutcome.PROPOSED


def test_a_service_that_takes_too_long_has_failed_and_is_looked_at_again(make: Make) -> None:
    job = make("sleep", "60")
    began = replace(job, seconds=1, order=replace(job.order, seconds=1))  # type: ignore[type-var]
    result = jobs.run(began)
    assert (result.outcome, result.sentence) == (TurnOutcome.FAILED, "sleep was not done in 1 s.")
    assert result.head == ""
    assert jobs.run(make("true")).outcome is TurnOutcome.IN_STEP


def test_what_decides_about_the_outcome_is_looked_at_anew(make: Make, tmp_path: Path) -> None:
    first = jobs.run(make("sh", "-c", "echo b >b.txt"))
    (tmp_path / "clones/pay/.git/HEAD").unlink()
    assert jobs.run(make("sh", "-c", "echo b >b.txt")).proposal == first.proposal
    assert not (tmp_path / "clones/pay/.git/HEAD").exists()  # it was not needed
    assert jobs.run(make("sh", "-c", "echo c >b.txt")).proposal != first.proposal


def test_what_went_wrong_keeps_what_was_known(make: Make, tmp_path: Path) -> None:
    known = Result(
        "pay", "u", TurnOutcome.IN_STEP, version="0.1.0", request="https://forge/1", head="abc", report="old"
    )
    Results(tmp_path / "results").put("pay", known)
    result = jobs.run(make("false"))
    assert (result.outcome, result.version, result.request, result.run) == (
        TurnOutcome.FAILED,
        "0.1.0",
        known.request,
        "now",
    )
    assert (result.head, result.report) == ("", "")
