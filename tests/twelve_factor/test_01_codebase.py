"""I. Codebase: one codebase, tracked in git, many deploys."""

from __future__ import annotations

import contextlib
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import succeed
from conftest import Render, commit, git
from environments import VERSION
from running import Running, running
from trees import tree

DEPLOYS = ("development", "staging", "production")


@pytest.fixture(scope="module")
def codebase(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service in git, as its team pushed it."""
    clone = tmp_path_factory.mktemp("codebase") / "my-service"
    succeed("cp", "-a", rendered(), clone)
    commit(clone, "The service")
    return clone


@pytest.fixture(scope="module")
def deploys(codebase: Path, python: Path) -> Iterator[dict[str, Running]]:
    """The one folder, running three times at once."""
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(
                running(codebase, python, APP_ENVIRONMENT=name, APP_GREETING=f"Hello from {name}", LOG_LEVEL="debug")
            )
            for name in DEPLOYS
        }


def test_one_folder_runs_as_many_deploys_at_once(deploys: dict[str, Running]) -> None:
    answers = {name: deploy.get("/api/v1/greeting").json for name, deploy in deploys.items()}
    assert answers == {name: {"message": f"Hello from {name}, World!"} for name in DEPLOYS}
    assert len({deploy.port for deploy in deploys.values()}) == len(DEPLOYS)


def test_each_deploy_says_in_its_log_which_it_is(deploys: dict[str, Running]) -> None:
    said = {name: {event["environment"] for event in deploy.events} for name, deploy in deploys.items()}
    assert said == {name: {name} for name in DEPLOYS}


def test_running_it_changes_nothing_that_git_sees(codebase: Path, deploys: dict[str, Running]) -> None:
    for deploy in deploys.values():
        assert deploy.get("/docs").status == 200
    assert git(codebase, "status", "--porcelain", "--untracked-files=all") == ""


def test_git_would_see_a_change(codebase: Path) -> None:
    stray = codebase / "src/my_service/state.json"
    stray.write_text("{}", encoding="utf-8")
    assert git(codebase, "status", "--porcelain", "--untracked-files=all") != ""
    stray.unlink()


def test_a_clone_is_all_that_a_deploy_needs(codebase: Path, python: Path, tmp_path: Path) -> None:
    clone = tmp_path / "elsewhere"
    git(tmp_path, "clone", "--quiet", str(codebase), str(clone))
    assert tree(clone) == tree(codebase)
    with running(clone, python, APP_ENVIRONMENT="production") as deploy:
        assert deploy.get("/api/v1/greeting").status == 200


def test_what_services_share_is_a_library_that_each_declares(codebase: Path, rendered: Render) -> None:
    """And the same bytes in all of them."""
    other = rendered(project_slug="other", package_name="other")
    for service in (codebase, other):
        project = tomllib.loads((service / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert f"twelvefold-chassis=={VERSION}+vendored" in project["dependencies"]
    assert tree(codebase / "vendor") == tree(other / "vendor") != {}
