"""A service updates itself: the jobs of its own pipeline, executed against a forge on this machine.

The template is this repository at two releases, under its own address; git finds it on this disk. The forge speaks
GitLab's and GitHub's endpoints.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import test_github
import test_gitlab

from commands import Done
from conftest import Render, commit, git
from desk import programs
from environments import ADDRESS, SERVICE
from environments import VERSION as OLD
from fleets import BRANCH
from forge_server import TOKEN, Forge, serving

pytestmark = pytest.mark.slow

PROJECT = "acme/my-service"


@dataclass
class Home:
    """A service's repository on a forge, the clone that its pipeline runs in, and the template that it follows."""

    forge: Forge
    clone: Path
    template: Path
    job: Callable[[Home], Done]

    def update(self) -> Done:
        """Run the job in what is on main now."""
        git(self.clone, "pull", "--quiet", "origin", "main")
        return self.job(self)

    def release(self, version: str) -> None:
        """Release the template with another line in a file that it owns."""
        file = self.template / SERVICE.name / ".dockerignore"
        file.write_text(f"{file.read_text(encoding='utf-8')}{version}\n", encoding="utf-8")
        text = (self.template / "cookiecutter.json").read_text(encoding="utf-8")
        text = re.sub(r'(?<="_template_version": ")[^"]*', version, text)
        (self.template / "cookiecutter.json").write_text(text, encoding="utf-8")
        commit(self.template, f"Release {version}")
        git(self.template, "tag", version)

    def git(self, *arguments: str) -> str:
        return git(self.forge.folder / f"{PROJECT}.git", *arguments)

    def titles(self, revision: str) -> list[str]:
        return self.git("log", "--format=%s", revision).splitlines()


def on_gitlab(home: Home) -> Done:
    url = home.forge.url
    where = {
        "CI_PROJECT_URL": f"{url}/{PROJECT}",
        "CI_SERVER_URL": url,
        "GITLAB_CI": "true",
        "CI_DEFAULT_BRANCH": "main",
    }
    return test_gitlab.gitlab(
        home.clone, "update", "--needs", CI_PIPELINE_SOURCE="schedule", TWELVEFOLD_TOKEN=TOKEN, **where
    )


def on_github(home: Home) -> Done:
    url = home.forge.url
    where = {"GITHUB_REPOSITORY": PROJECT, "GITHUB_SERVER_URL": url, "GITHUB_API_URL": f"{url}/api/v3"}
    given = [f"--env={name}={value}" for name, value in where.items()]
    secret = f"--secret=TWELVEFOLD_TOKEN={TOKEN}"
    return test_github.github(home.clone, "schedule", "refs/heads/main", *given, secret, workflow=test_github.UPDATE)


JOBS = {"gitlab": on_gitlab, "github": on_github}


@pytest.fixture(params=JOBS)
def home(
    request: pytest.FixtureRequest, template: Path, rendered: Render, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Home]:
    """The home of a service at the release 0.2.0."""
    released = Path(shutil.copytree(template, tmp_path / "template"))
    git(released, "tag", "0.2.0")
    (tmp_path / "gitconfig").write_text(f'[url "file://{released}"]\n\tinsteadOf = {ADDRESS}\n', encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.setenv("UV_NO_GITHUB_FAST_PATH", "1")  # there is no network here to ask GitHub's API by
    monkeypatch.setenv("TWELVEFOLD_CACHE", str(tmp_path / "templates"))
    programs(tmp_path / "bin")
    clone = Path(shutil.copytree(rendered(ci=request.param), tmp_path / "my-service"))
    commit(clone, "Rendered")
    repository = tmp_path / f"git/{PROJECT}.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(clone), str(repository))
    git(repository, "config", "http.receivepack", "true")
    git(clone, "remote", "add", "origin", str(repository))
    git(clone, "fetch", "--quiet")
    git(clone, "remote", "set-head", "origin", "main")
    with serving(tmp_path / "git") as forge:
        yield Home(forge, clone, released, JOBS[request.param])


def push(home: Home, branch: str, path: str, text: str, message: str) -> None:
    """Commit on a branch, as somebody of the team does."""
    other = home.clone.parent / "other"
    git(home.clone.parent, "clone", "--quiet", "--branch", branch, str(home.forge.folder / f"{PROJECT}.git"), "other")
    (other / path).write_text(text, encoding="utf-8")
    commit(other, message)
    git(other, "push", "--quiet", "origin", branch)
    shutil.rmtree(other)


def test_a_service_updates_itself(home: Home) -> None:
    title = "chore: update from the template, {} to {}"
    home.release("0.3.0")
    assert went(home.update(), home) == "PASS"
    (request,) = home.forge.requests
    assert (request["title"], request["labels"]) == (title.format(OLD, "0.3.0"), ["twelvefold"])
    assert request["description"].startswith(f"# my-service: {OLD} → 0.3.0")
    before = home.git("rev-parse", BRANCH)
    assert went(home.update(), home) == "PASS"
    assert home.git("rev-parse", BRANCH) == before

    push(home, BRANCH, "tests/test_review.py", "", "Review")
    push(home, "main", ".editorconfig", "root = false\n", "In a hurry")
    home.release("0.4.0")
    done = home.update()
    assert went(done, home) == "WARN", done.stdout
    assert "needs a person" in done.stdout
    assert home.forge.requests == [request]
    assert request["labels"] == ["twelvefold", "needs-a-person"]
    assert "## Please look at" in request["description"]
    assert {"Review", "In a hurry", title.format(OLD, "0.4.0")} <= set(home.titles(BRANCH))

    home.git("update-ref", "refs/heads/main", f"refs/heads/{BRANCH}")
    assert went(home.update(), home) == "PASS"
    assert request["state"] == "closed"
    assert BRANCH not in home.git("branch", "--list", BRANCH)


def test_a_token_that_may_not_fails_the_job_with_a_sentence(home: Home) -> None:
    home.forge.token = "another"  # noqa: S105 - nobody's
    done = home.update()
    assert went(done, home) == "FAIL"
    said = " ".join(re.sub(r"^(update )?\s*> ", "", line) for line in done.stdout.splitlines())
    assert "The token is not accepted, or there is none" in said
    assert "A token needs" in said


def went(done: Done, home: Home) -> str:
    """PASS, WARN or FAIL, and no token in what was said."""
    assert TOKEN not in done.stdout + done.stderr
    if home.job is on_gitlab:
        return test_gitlab.outcomes(done)["update"]
    result = test_github.outcomes(done)["update"]
    warned = "::warning title=Update from the template::" in done.stdout
    return "FAIL" if result == "failure" else "WARN" if warned else "PASS"
