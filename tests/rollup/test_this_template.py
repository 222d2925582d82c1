"""`twelvefold rollup` on services of this repository's own template, in every set of capabilities."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from cookiecutter.main import cookiecutter

from answers import capability_sets, label, questions
from conftest import Render, commit, git
from histories import answers_of, edit, twelvefold, write
from trees import tree
from twelvefold.engine.rendering.imports import imports_apart

# The first has every capability off and the last every one on; those between are for the slow lane.
EVERY = [
    pytest.param(
        answers, id=label(answers), marks=[pytest.mark.slow] if 0 < number < len(capability_sets()) - 1 else []
    )
    for number, answers in enumerate(capability_sets())
]
PIPELINES = {"gitlab": ".gitlab-ci.yml", "github": ".github/workflows/ci.yml", "jenkins": "project.groovy"}
JOBS = {
    "gitlab": "\nours:\n  script: [make ours]\n",
    "github": "\n  ours:\n    runs-on: ubuntu-latest\n",
    "jenkins": "// ours\n",
}


@pytest.fixture(scope="module")
def newer(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template a commit on: an owned file and a key of a merged one are others."""
    newer = Path(shutil.copytree(template, tmp_path_factory.mktemp("newer") / "twelvefold"))
    write(newer, "<<cookiecutter.project_slug>>/vendor/chassis/src/chassis/newer.py", "NEWER = True\n")
    edit(newer, "<<cookiecutter.project_slug>>/pyproject.toml", "line-length = 120", "line-length = 119")
    commit(newer, "Go on")
    return newer


def rendered_by(template: Path, folder: Path, answers: dict[str, str | bool]) -> Path:
    options = {"no_input": True, "extra_context": answers, "output_dir": str(folder), "default_config": True}
    with imports_apart(template):
        return Path(cookiecutter(str(template), **options))


def rolled_up(service: Path, template: Path, *options: str, exit_code: int = 0) -> str:
    if not (service / ".git").exists() or git(service, "status", "--porcelain"):
        commit(service, "The team's")
    done = twelvefold("rollup", service, "--template", template, "--ref", "HEAD", "--no-lock", *options)
    assert done.exit_code == exit_code, done.output
    return done.output


def edit_as_the_team(service: Path, ci: str) -> dict[str, str]:
    """Write what an update must not lose, and return it: path → text."""
    edit(service, "pyproject.toml", '  "fastapi",\n', '  "fastapi",\n  "numpy>=2",  # ours\n')
    with (service / PIPELINES[ci]).open("a", encoding="utf-8") as file:
        file.write(JOBS[ci])
    write(service, "README.md", "# Ours\n")
    (service / "config/settings.toml").unlink()
    return {"pyproject.toml": '  "numpy>=2",  # ours\n', PIPELINES[ci]: JOBS[ci], "README.md": "# Ours\n"}


@pytest.mark.parametrize("answers", EVERY)
def test_right_after_a_render_there_is_nothing_to_do(
    answers: dict[str, str | bool], template: Path, fresh: Render
) -> None:
    service = fresh(**answers)
    before = tree(service)
    assert "Nothing to do" in rolled_up(service, template)
    assert tree(service) == before


@pytest.mark.slow
@pytest.mark.parametrize("answers", EVERY)
def test_what_the_template_changed_comes_and_what_the_team_wrote_stays(
    answers: dict[str, str | bool], newer: Path, fresh: Render, tmp_path: Path
) -> None:
    service = fresh(**answers)
    kept = edit_as_the_team(service, str(answers["ci"]))
    said = rolled_up(service, newer, "--commit")
    for path, text in kept.items():
        assert text in (service / path).read_text(encoding="utf-8"), said
    assert not (service / "config/settings.toml").exists()
    newest = tree(rendered_by(newer, tmp_path / "newest", answers))
    shared = {*kept, "config/settings.toml"}
    assert {path: file for path, file in tree(service).items() if path not in shared} == {
        path: file for path, file in newest.items() if path not in shared
    }
    assert "line-length = 119" in (service / "pyproject.toml").read_text(encoding="utf-8")
    assert "Nothing to do" in rolled_up(service, newer)


@pytest.mark.parametrize("answers", EVERY)
def test_every_drifted_owned_file_is_healed_and_told(
    answers: dict[str, str | bool], template: Path, fresh: Render, tmp_path: Path
) -> None:
    service = fresh(**answers)
    before = tree(service)
    manifest = json.loads((service / ".twelvefold/manifest.json").read_bytes())
    owned = sorted(path for path, entry in manifest.items() if entry["owner"] == "owned")
    for number, path in enumerate(owned):
        write(service, path, "drift\n") if number % 2 else (service / path).unlink()
    said = rolled_up(service, template, exit_code=2)
    assert tree(service) == before
    assert [path for path in owned if f"{path}: put back" not in said] == []


# What is switched on and off: test_capabilities.py.
@pytest.mark.slow
@pytest.mark.parametrize("question", [name for name, one in questions().items() if isinstance(one, list)])
def test_an_answer_there_and_back_leaves_the_service_as_it_was(question: str, template: Path, fresh: Render) -> None:
    service = fresh()
    write(service, "src/my_service/forecast.py", "RAIN = True\n")
    before = tree(service)
    mine = answers_of(service)[question]
    default = questions()[question]
    others = [str(not mine).lower()] if isinstance(mine, bool) else [one for one in default if one != mine]
    for other in others:
        rolled_up(service, template, "--answer", f"{question}={other}", "--commit")
        assert tree(service) != before
        rolled_up(service, template, "--answer", f"{question}={str(mine).lower()}", "--commit")
        assert tree(service) == before


@pytest.mark.parametrize("answers", EVERY)
def test_an_adopted_repository_is_a_render_with_the_team_s_own_files(
    answers: dict[str, str | bool], template: Path, rendered: Render, tmp_path: Path
) -> None:
    repository = tmp_path / "my-service"
    write(repository, "notes.md", "Ours.\n")
    commit(repository, "Ours")
    given = [f"--answer={name}={str(answer).lower()}" for name, answer in answers.items()]
    where = ("--template", template, "--ref", "HEAD", "--no-lock", "--no-input", "--yes", "--commit")
    done = twelvefold("adopt", repository, *where, *given)
    assert done.exit_code == 0, done.output
    notes = {"notes.md": (0o644, b"Ours.\n")}
    assert tree(repository) == {**tree(rendered(**answers)), **notes}
    assert "Nothing to do" in rolled_up(repository, template)


EXACT, RANGE = 'requires = ["uv_build==0.13.9"]', 'requires = ["uv_build>=0.9,<0.14"]'


@pytest.fixture(scope="module")
def exact(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as it was released as 0.1.0 in one thing: it wants one version of what builds a service."""
    older = Path(shutil.copytree(template, tmp_path_factory.mktemp("exact") / "twelvefold"))
    pyproject = older / "<<cookiecutter.project_slug>>/pyproject.toml"
    text = re.sub(r"^requires = .*uv_build.*$", EXACT, pyproject.read_text(encoding="utf-8"), flags=re.MULTILINE)
    pyproject.write_text(text, encoding="utf-8")
    commit(older, "As it was")
    return older


@pytest.mark.slow
@pytest.mark.parametrize(
    "theirs",
    [EXACT, 'requires = ["uv_build>=0.13.2,<0.13.7"]', 'requires = ["hatchling", "hatch-vcs>=0.4"] # ours'],
)
def test_what_builds_a_service_gets_its_range(theirs: str, exact: Path, template: Path, tmp_path: Path) -> None:
    service = rendered_by(exact, tmp_path, {})
    edit(service, "pyproject.toml", EXACT, theirs)
    told = rolled_up(service, template)
    text = (service / "pyproject.toml").read_text(encoding="utf-8")
    assert (RANGE if theirs == EXACT else theirs) in text
    assert ("kept yours: build-system.requires" in told) is (theirs != EXACT)
    assert "Nothing to do" in rolled_up(service, template)
