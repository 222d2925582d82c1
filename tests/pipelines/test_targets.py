"""The targets of make that pipelines run, each in a service in which something is broken.

One service does for all pipelines: its Makefile and its Python are the same bytes, which a test shows. That a job fails
if its target does, which target that is, and that all pass where nothing is broken, show the tests of each pipeline.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import Done, run
from conftest import Render, git
from desk import (
    BREAKS,
    RELEASED,
    TAGGED,
    at_the_forge,
    break_it,
    programs,
    push,
    repository,
    shared,
    surroundings,
)

pytestmark = pytest.mark.slow

MAKE = shutil.which("make") or "make"
BUILDER = "BUILDER=docker"  # a stand-in, as trivy and helm's upgrade are
# What is broken → the target that fails of it.
FAILS = {
    "lint": "lint",
    "types": "types",
    "style": "style",
    "test": "test-all",
    "coverage": "test-all",
    "smoke": "smoke",
    "build": "build",
    "wheel": "build",
    "chart": "chart",
    "audit": "audit",
    "image": "image",
    "push": "push",
    "scan": "scan",
    "sbom": "sbom",
    "notes": "notes",
    "deploy": "deploy",
    "version": "release-check",
}
OF_A_JOB = ("release",)  # it is no target that does it
REPOSITORY = (b"//github.com/my-team/", b"//gitlab.com/my-team/")  # where it says that it lies
SAME = ("Makefile", "pyproject.toml", "deploy", "src", "tests", "vendor")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, rendered: Render) -> Path:
    folder = tmp_path_factory.mktemp("targets")
    programs(folder / "bin")
    copy = shutil.copytree(rendered(ci="gitlab"), folder / "my-service")
    return repository(Path(copy), "git@gitlab.com:my-team/my-service.git")


@pytest.fixture
def service(made: Path) -> Iterator[Path]:
    """The service where it was installed by the test before, with nothing broken."""
    head = git(made, "rev-parse", "HEAD").strip()
    yield made
    git(made, "reset", "--quiet", "--hard", head)
    git(made, "clean", "--quiet", "-dfx", "--exclude=.venv", "--exclude=.tools", "--exclude=*_cache")
    push(made, *TAGGED)
    for name in ("called", "read", "refused"):
        (made.parent / "bin" / name).unlink(missing_ok=True)


def make(service: Path, target: str) -> Done:
    told = {"TAG": RELEASED, "CI_COMMIT_TAG": RELEASED, **shared(), **at_the_forge(service)}
    given = [BUILDER, f"VERSION={RELEASED}", "ENVIRONMENT=staging", "IMAGE=registry.example.com/my-service"]
    return run(MAKE, target, *given, cwd=service, env={**surroundings(service.parent / "bin"), **told})


@pytest.mark.parametrize("broken", FAILS)
def test_what_is_broken_fails_in_its_target(broken: str, service: Path) -> None:
    break_it(service, BREAKS[broken])
    push(service, *TAGGED)
    done = make(service, FAILS[broken])
    assert done.returncode != 0, done.stdout + done.stderr
    assert BREAKS[broken].said in done.stdout + done.stderr, done.stdout + done.stderr


def test_nothing_that_can_be_broken_is_left_out() -> None:
    assert {*FAILS, *OF_A_JOB} == {*BREAKS}


def test_what_the_targets_run_is_the_same_for_every_pipeline(rendered: Render) -> None:
    def files(ci: str) -> dict[str, bytes]:
        root = rendered(ci=ci)
        found = [path for name in SAME for path in (root / name, *(root / name).rglob("*")) if path.is_file()]
        return {path.relative_to(root).as_posix(): path.read_bytes().replace(*REPOSITORY) for path in found}

    assert files("gitlab") == files("github") == files("jenkins")
