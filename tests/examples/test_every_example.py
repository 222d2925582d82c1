"""Each example: what a team wrote, with all else rendered, is checked and rolled up as any service."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

import example
from commands import run
from conftest import commit, git
from environments import TEMPLATE
from running import run_in

EXAMPLES = sorted(path.parent for path in example.EXAMPLES.glob("*/answers.json"))


@pytest.fixture(scope="session", params=EXAMPLES, ids=lambda path: path.name)
def wrote(request: pytest.FixtureRequest) -> Path:
    """The example."""
    return Path(request.param)


@pytest.fixture(scope="session")
def written(wrote: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The service that it becomes."""
    return example.written(wrote, tmp_path_factory.mktemp("examples") / wrote.name)


@pytest.fixture
def service(written: Path, tmp_path: Path) -> Path:
    """A copy of it, to run and to write into."""
    return Path(shutil.copytree(written, tmp_path / written.name, symlinks=True))


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [("ruff", "check"), ("ruff", "format", "--check"), ("mypy",), ("deptry", "src"), ("pytest", "-q")],
    ids=lambda command: " ".join(command),
)
def test_its_own_checks_pass(command: tuple[str, ...], service: Path, python: Path) -> None:
    done = run_in(service, python, *command)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_holds_only_what_a_team_writes(wrote: Path, written: Path) -> None:
    tracked = git(TEMPLATE, "ls-files", "--cached", "--others", "--exclude-standard", str(wrote))
    names = [Path(name).relative_to(wrote.relative_to(TEMPLATE)).as_posix() for name in tracked.splitlines()]
    team_s = {".env.example", "answers.json", "README.md", "config", "pyproject.toml", "src", "tests"}
    assert {name.split("/")[0] for name in names} == team_s
    assert not [name for name in names if "chassis" in name]
    added = tomllib.loads((wrote / "pyproject.toml").read_text(encoding="utf-8"))
    assert added == {"project": {"dependencies": example.dependencies_of(wrote)}}
    assert not (written / "src" / wrote.name / "notes.py").exists()
    assert not (written / "tests/test_greeting.py").exists()


@pytest.mark.slow
def test_a_newer_template_leaves_what_the_team_wrote(
    wrote: Path, service: Path, template: Path, tmp_path: Path
) -> None:
    newer = Path(shutil.copytree(template, tmp_path / "template"))
    (mended,) = newer.glob("*/vendor/chassis/src/chassis/**/health.py")
    seed = newer / "<<cookiecutter.project_slug>>/src/<<cookiecutter.package_name>>/api.py"
    for file in (mended, seed):
        file.write_text(f"{file.read_text(encoding='utf-8')}\n# Mended.\n", encoding="utf-8")
    commit(newer, "Mend the health")
    done = run("twelvefold", "rollup", service, "--template", newer, "--ref", "HEAD", "--no-lock")
    assert done.returncode == 0, done.stdout + done.stderr
    changed = git(service, "status", "--porcelain").split()
    assert mended.relative_to(newer / "<<cookiecutter.project_slug>>").as_posix() in changed
    team_s = (f"src/{wrote.name}", "tests/t", "config", "README", "pyproject")
    assert not [name for name in changed if name.startswith(team_s)]
    for path in example.files_of(wrote):
        assert path.read_text(encoding="utf-8") in (service / path.relative_to(wrote)).read_text(encoding="utf-8")
    project = tomllib.loads((service / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(example.dependencies_of(wrote)) <= set(project["dependencies"])
    assert "GREETING" not in (service / ".env.example").read_text(encoding="utf-8")
    assert not (service / "tests/test_greeting.py").exists()
