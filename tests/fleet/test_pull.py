"""`twelvefold propose` in a service's own pipeline, on both forges."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import git
from fleets import BRANCH, Fleet
from forge_server import TOKEN, Fault, Forge, serving
from histories import twelvefold
from twelvefold.fleet.pull import Home, home, tell
from twelvefold.fleet.results import Result, TurnOutcome

VARIABLES = {"gitlab": "TWELVEFOLD_TOKEN", "github": "GITHUB_TOKEN"}
KINDS = list(VARIABLES)


@dataclass
class Pipeline:
    """A pipeline of the service `acme/pay`, whose clone is as pipelines have it: shallow, of a commit."""

    fleet: Fleet
    forge: Forge
    clone: Path

    def propose(self, *arguments: str, exit_code: int = 0) -> str:
        options = ("--template", str(self.fleet.history.repository), "--no-lock", *arguments)
        done = twelvefold("propose", self.clone, *options)
        assert done.exit_code == exit_code, done.output
        assert TOKEN not in done.output
        return done.output

    def hook(self, said: str) -> None:
        """Let the forge decline pushes."""
        hook = self.fleet.repository("acme/pay") / "hooks/pre-receive"
        hook.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 1\n", encoding="utf-8")
        hook.chmod(0o755)


@pytest.fixture
def pipeline(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    for variable in ("GITLAB_CI", "GITHUB_ACTIONS", *VARIABLES.values()):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # what is waited out need not be waited for
    (fleet.folder / "git/acme").mkdir()
    fleet.add("acme/pay")
    repository = fleet.repository("acme/pay")
    git(repository, "config", "http.receivepack", "true")
    git(repository, "config", "receive.advertisePushOptions", "true")
    git(fleet.folder, "clone", "--quiet", "--depth", "1", f"file://{repository}", "clone")
    git(fleet.folder / "clone", "checkout", "--quiet", "--detach")
    with serving(fleet.folder / "git") as forge:
        yield Pipeline(fleet, forge, fleet.folder / "clone")


def on(kind: str, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, token: str = TOKEN) -> None:
    """Set what a job of that forge finds in its environment."""
    url = pipeline.forge.url
    variables = {
        "gitlab": {"GITLAB_CI": "true", "CI_PROJECT_URL": f"{url}/acme/pay", "CI_SERVER_URL": url},
        "github": {
            "GITHUB_ACTIONS": "true",
            "GITHUB_REPOSITORY": "acme/pay",
            "GITHUB_SERVER_URL": url,
            "GITHUB_API_URL": f"{url}/api/v3",
        },
    }[kind]
    for name, value in {**variables, VARIABLES[kind]: token}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_job_opens_a_request_in_its_own_repository(
    kind: str, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on(kind, pipeline, monkeypatch)
    reports = [tmp_path / "report.md", tmp_path / "report.json"]
    said = pipeline.propose(*(f"--report={path}" for path in reports))
    (request,) = pipeline.forge.requests
    assert f"pay-api: proposed. 2 files: 1 added, 1 changed. {pipeline.forge.url}/acme/pay/" in said
    assert reports[0].read_text(encoding="utf-8") == request["description"]
    told = json.loads(reports[1].read_text(encoding="utf-8"))
    assert (told["outcome"], told["version"], told["target"]) == ("proposed", "0.1.0", "0.2.0")
    assert told["needs_person"] is False
    assert told["request"].startswith(pipeline.forge.url)
    tip = pipeline.fleet.commits("acme/pay", BRANCH)
    assert pipeline.propose() == said  # again, and nothing is new
    assert (pipeline.fleet.commits("acme/pay", BRANCH), len(pipeline.forge.requests)) == (tip, 1)
    assert git(pipeline.clone, "status", "--porcelain", "--branch").strip() == "## HEAD (no branch)"


@pytest.mark.parametrize("kind", KINDS)
def test_what_needs_a_person_ends_with_2_and_is_told(
    kind: str, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.fleet.push("acme/pay", "owned/core.py", "PATCHED = True\n")
    on(kind, pipeline, monkeypatch)
    said = pipeline.propose(exit_code=2)
    assert "needs a person" in said
    assert said.startswith("::warning title=Update from the template::") == (kind == "github")
    assert pipeline.forge.requests[0]["labels"] == ["twelvefold", "needs-a-person"]
    assert "needs a person" not in pipeline.propose("--heal")
    assert pipeline.forge.requests[0]["labels"] == ["twelvefold"]


def test_what_an_annotation_would_read_as_an_escape_arrives_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    tell(Result("pay", "u", TurnOutcome.PERSON, sentence="50%25 of\r\nit."), {"GITHUB_ACTIONS": "true"})
    told = "pay: needs a person. 50%2525 of%0D%0Ait."
    assert capsys.readouterr().out == f"::warning title=Update from the template::{told}\n"


def test_check_says_what_there_is_and_does_nothing(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    on("gitlab", pipeline, monkeypatch)
    assert "would change" in pipeline.propose("--check", exit_code=1)
    assert pipeline.fleet.branches("acme/pay") == ["main"]


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_token_it_says_which_is_needed(
    kind: str, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(kind, pipeline, monkeypatch, token="")
    monkeypatch.setenv("CI_JOB_TOKEN", TOKEN)
    said = pipeline.propose(exit_code=2)
    assert f"The variable {VARIABLES[kind]}, which should hold a token, is not set." in said
    assert {"gitlab": "CI_JOB_TOKEN, cannot open merge requests", "github": "to write contents"}[kind] in said
    assert pipeline.forge.asked == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_that_is_not_accepted_is_told_in_a_sentence(
    kind: str, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on(kind, pipeline, monkeypatch, token="wrong")  # noqa: S106 - nobody's
    said = pipeline.propose(f"--report={tmp_path / 'report.md'}", exit_code=3)
    assert "The token is not accepted" in said
    assert "A token needs" in said
    assert "The token is not accepted" in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "declined", "said"),
    [
        ("gitlab", "GitLab: You are not allowed to push code to protected branches on this project.", "role Developer"),
        (
            "github",
            "refusing to allow a GitHub App to create or update workflow `ci.yml` without `workflows` permission",
            "workflows too, which a workflow's own token never may",
        ),
    ],
)
def test_what_may_not_be_pushed_is_told_in_a_sentence(
    kind: str, declined: str, said: str, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    on(kind, pipeline, monkeypatch)
    pipeline.hook(declined)
    told = pipeline.propose(exit_code=3)
    assert f"The token may not do this (git push: {declined}" in told
    assert said in told
    assert told.startswith("::error") == (kind == "github")
    assert pipeline.fleet.branches("acme/pay") == ["main"]


def test_a_workflow_that_may_open_no_requests_says_where_that_is_allowed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("github", pipeline, monkeypatch)
    pipeline.forge.faults.extend([Fault(403)] * 20)
    assert "Settings > Actions > General lets Actions create them" in pipeline.propose(exit_code=3)
    pipeline.forge.faults.clear()
    pipeline.propose()  # the branch is there already
    assert len(pipeline.forge.requests) == 1


def test_gitlab_is_told_by_push_options_where_the_token_may_not_use_the_api(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("gitlab", pipeline, monkeypatch, token="")
    monkeypatch.setenv("CI_JOB_TOKEN", TOKEN)
    push = ("--forge=gitlab-push", "--token=CI_JOB_TOKEN")
    pipeline.fleet.push("acme/pay", "owned/core.py", "PATCHED = 'in a hurry'\n")
    said = pipeline.propose(*push, exit_code=2)
    (request,) = pipeline.forge.requests
    assert f"{pipeline.forge.url}/acme/pay/-/merge_requests?state=opened&source_branch=twelvefold%2Fupdate" in said
    assert (request["title"], request["base"]) == ("chore: update from the template, 0.1.0 to 0.2.0", "main")
    assert request["labels"] == ["twelvefold", "needs-a-person"]
    assert "\n+PATCHED" not in request["description"].partition("## Please look at")[0]
    assert "-PATCHED = 'in a hurry'\n" in request["description"]

    pipeline.fleet.history.release("0.3.0", {"owned/new.py": "NEW = False\n"})
    pipeline.propose(*push, "--heal")
    assert pipeline.forge.requests == [request]
    assert (request["title"], request["labels"]) == ("chore: update from the template, 0.1.0 to 0.3.0", ["twelvefold"])

    repository = pipeline.fleet.repository("acme/pay")
    git(repository, "update-ref", "refs/heads/main", f"refs/heads/{BRANCH}")
    assert "in step" in pipeline.propose(*push)
    assert (request["state"], pipeline.fleet.branches("acme/pay")) == ("closed", ["main"])
    assert pipeline.forge.asked == []


def test_a_report_that_git_would_not_send_whole_is_shortened(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    on("gitlab", pipeline, monkeypatch)
    pipeline.fleet.push("acme/pay", "owned/core.py", "".join(f"LINE = '{number} 日本語'\n" for number in range(9_000)))
    pipeline.propose("--forge=gitlab-push", exit_code=2)
    assert pipeline.forge.requests[0]["description"].endswith("The report is longer than the forge takes.\n")


def test_a_template_that_only_the_service_names_is_not_run(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    on("gitlab", pipeline, monkeypatch)
    done = twelvefold("propose", pipeline.clone)
    assert done.exit_code == 2
    assert "comes out of the service's own files" in done.output


@pytest.mark.parametrize("name", ["report.txt", "nowhere/report.md"])
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_done(
    name: str, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    on("gitlab", pipeline, monkeypatch)
    pipeline.propose(f"--report={tmp_path / name}", exit_code=2)
    assert pipeline.fleet.branches("acme/pay") == ["main"]


def test_outside_of_pipelines_the_clone_says_where_it_lives(service: Path, tmp_path: Path) -> None:
    git(service, "remote", "add", "origin", "https://user:secret@git.example.com/pay.git")
    assert home(service, {}) == Home("https://git.example.com/pay.git", "git")
    git(service, "remote", "remove", "origin")
    done = twelvefold("propose", service)
    assert done.exit_code == 2
    assert "git remote add origin URL" in done.output


def test_the_fleet_finds_what_the_service_proposed(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    on("gitlab", pipeline, monkeypatch)
    pipeline.propose()
    tip = git(pipeline.fleet.repository("acme/pay"), "rev-parse", BRANCH).strip()
    url = pipeline.forge.url
    monkeypatch.delenv("TWELVEFOLD_TOKEN")
    token = pipeline.fleet.keep_token(TOKEN)
    forge = f"[forge]\nkind = 'gitlab'\n{token}url = '{url}'\n"
    pipeline.fleet.configure(forge, services=[{"url": f"{url}/acme/pay.git"}])
    assert pipeline.fleet.rollup()["pay"].proposal == tip
    assert len(pipeline.forge.requests) == 1


def test_any_ci_can_do_it_that_names_the_forge(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    url = pipeline.forge.url
    git(pipeline.clone, "remote", "set-url", "origin", f"{url}/acme/pay.git")
    monkeypatch.setenv("TWELVEFOLD_TOKEN", TOKEN)
    pipeline.propose("--forge=github", f"--forge-url={url}/api/v3", "--token=TWELVEFOLD_TOKEN")
    assert pipeline.forge.requests[0]["labels"] == ["twelvefold"]


def test_a_token_may_come_out_of_a_file(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    on("gitlab", pipeline, monkeypatch, token="")
    (tmp_path / "token").write_text(TOKEN, encoding="utf-8")
    assert "Others may read or write" in pipeline.propose(f"--token-file={tmp_path / 'token'}", exit_code=2)
    (tmp_path / "token").chmod(0o600)
    both = (f"--token-file={tmp_path / 'token'}", "--token=CI_JOB_TOKEN")
    assert "--token and --token-file both say where the token is" in pipeline.propose(*both, exit_code=2)
    pipeline.propose(both[0])
    assert set(pipeline.forge.shown) == {TOKEN}


def test_on_no_forge_the_branch_is_the_request(pipeline: Pipeline) -> None:
    assert "proposed" in pipeline.propose()
    assert pipeline.fleet.branches("acme/pay") == ["main", BRANCH]
