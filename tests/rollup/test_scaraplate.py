"""`scaraplate rollup`, its own command: what it promises with our extension points alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from answers import capability_sets, label
from commands import Done, run
from conftest import Render, commit, git
from test_twelvefold_answers import GOOD
from trees import tree


def rollup(template: Path, service: Path) -> Done:
    return run("scaraplate", "rollup", template, service, "--no-input")


def rolled_up(template: Path, service: Path) -> str:
    """Roll up `service` and return what scaraplate said."""
    done = rollup(template, service)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["pay-api", "x", "a1-b2-c3"])
def test_an_empty_folder_of_any_name_becomes_what_cookiecutter_renders(
    folder: str, template: Path, rendered: Render, tmp_path: Path
) -> None:
    service = tmp_path / folder
    service.mkdir()
    said = rolled_up(template, service)
    assert "Traceback" not in said
    assert "is ready" not in said
    assert tree(service) == tree(rendered(project_slug=folder, project_name=folder.replace("-", " ").title()))


def test_a_folder_that_does_not_exist_is_made(template: Path, tmp_path: Path) -> None:
    rolled_up(template, tmp_path / "pay-api")
    assert (tmp_path / "pay-api/.twelvefold/answers.json").exists()


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param(one, marks=[] if one["ci"] == "github" else pytest.mark.slow, id=label(one))
        for one in capability_sets()
    ],
)
def test_a_rendered_service_is_not_changed(answers: dict[str, str | bool], template: Path, fresh: Render) -> None:
    service = fresh(**answers)
    commit(service, "Rendered")
    rolled_up(template, service)
    assert git(service, "status", "--porcelain") == ""


def test_answers_that_are_hard_to_store_survive(template: Path, tmp_path: Path, rendered: Render) -> None:
    answers = {
        "project_name": 'Zürich\'s "50 %" {{ café }} 🎉',
        "project_slug": "hard",
        "description": "%(x)s \\n ${y} 'q' >> %>",
        "ci": "github",
    }
    service = Path(shutil.copytree(rendered(**answers), tmp_path / "hard"))
    before = tree(service)
    rolled_up(template, service)
    assert tree(service) == before
    stored = json.loads((service / ".twelvefold/answers.json").read_text(encoding="utf-8"))
    assert answers.items() <= stored.items()


def test_the_team_s_edits_stay_and_the_chassis_is_healed(template: Path, fresh: Render) -> None:
    service = fresh()
    untouched = tree(service)
    (service / "README.md").write_text("# Ours now\n", encoding="utf-8")
    edit(service / "pyproject.toml", '  "fastapi",\n', '  "fastapi",\n  "numpy>=2",  # for the forecast\n')
    edit(service / ".gitlab-ci.yml", "stages: [check, ", "stages: [check, ours, ")
    edit(service / "src/my_service/api.py", "Greet somebody by name.", "Say hello.")
    (service / "src/my_service/forecast.py").write_text("RAIN = True\n", encoding="utf-8")
    (service / "tests/test_forecast.py").write_text("", encoding="utf-8")
    (service / "project.mk").write_text("ours:\n\techo ours\n", encoding="utf-8")
    team_s = tree(service)
    (service / "vendor/chassis/src/chassis/process/health.py").write_text("# patched in a hurry\n", encoding="utf-8")
    (service / "deploy/smoke.py").unlink()
    (service / "Makefile").chmod(0o600)
    edit(service / "Dockerfile", "STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL")
    rolled_up(template, service)
    assert tree(service) == team_s
    assert team_s != untouched


def test_the_base_of_a_merge_moves_with_the_file(template: Path, fresh: Render, tmp_path: Path) -> None:
    newer = Path(shutil.copytree(template, tmp_path / "newer"))
    edit(newer / "<<cookiecutter.project_slug>>/.env.example", "PORT=8000", "PORT=8080")
    commit(newer, "Move the port")
    service = fresh()
    edit(service / ".env.example", "#APP_DOCS=true", "APP_DOCS=false")
    rolled_up(newer, service)
    base = (service / ".twelvefold/applied/.env.example").read_text()
    assert (service / ".env.example").read_text() == base.replace("#APP_DOCS=true", "APP_DOCS=false")
    assert "#APP_PORT=8080" in base


def test_a_file_that_cannot_be_merged_stays_and_so_does_its_base(template: Path, fresh: Render, tmp_path: Path) -> None:
    newer = Path(shutil.copytree(template, tmp_path / "newer"))
    edit(newer / "<<cookiecutter.project_slug>>/pyproject.toml", "line-length = 120", "line-length = 100")
    commit(newer, "Shorten lines")
    service = fresh()
    edit(service / "pyproject.toml", "[tool.ruff]", "[tool.ruff")
    before = tree(service)
    said = rolled_up(newer, service)
    assert "pyproject.toml: left as it is: " in said
    for path in ("pyproject.toml", ".twelvefold/applied/pyproject.toml"):
        assert tree(service)[path] == before[path]


def test_a_newer_template_s_chassis_arrives(template: Path, fresh: Render, tmp_path: Path) -> None:
    newer = Path(shutil.copytree(template, tmp_path / "newer"))
    chassis = newer / "<<cookiecutter.project_slug>>/vendor/chassis/src/chassis"
    (chassis / "brand_new.py").write_text('"""New."""\n', encoding="utf-8")
    edit(newer / "cookiecutter.json", '"_template_version": "', '"_template_version": "9.')
    commit(newer, "Add a module")
    service = fresh()
    rolled_up(newer, service)
    assert (service / "vendor/chassis/src/chassis/brand_new.py").exists()
    assert json.loads((service / ".twelvefold/template.json").read_text(encoding="utf-8"))["version"].startswith("9.")


@pytest.mark.parametrize(
    "hostile",
    [
        {"description": "<< cycler.__init__.__globals__.os.popen('touch OWNED').read() >>"},
        {"description": "<% raw %>x<% endraw %><< 7*7 >>"},
        {"package_name": "../../owned"},
        {"package_name": "logging"},
        {"project_name": "a\nb"},
    ],
    ids=str,
)
def test_hostile_memory_is_refused_executes_nothing_and_changes_nothing(
    hostile: dict[str, str], template: Path, fresh: Render, tmp_path: Path
) -> None:
    service = fresh()
    answers = {**GOOD, **hostile}
    (service / ".twelvefold/answers.json").write_text(json.dumps(answers), encoding="utf-8")
    before = tree(tmp_path)
    done = rollup(template, service)
    assert done.returncode == 2
    assert next(iter(hostile)) in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(tmp_path) == before
    assert not list(template.parent.rglob("OWNED"))


@pytest.mark.parametrize(
    "memory",
    [
        "{",
        '{"_extensions": ["x"]}',
        '{"ci": 1}',
        '{"ci": "travis"}',
        '{"ci": true}',
        '{"package_name": "moved"}',
        "[" * 100_000,
    ],
    ids=lambda memory: memory[:30],
)
def test_a_broken_memory_is_refused_in_a_sentence(memory: str, template: Path, fresh: Render) -> None:
    service = fresh()
    (service / ".twelvefold/answers.json").write_text(memory, encoding="utf-8")
    before = tree(service)
    done = rollup(template, service)
    assert done.returncode == 2
    assert "answers.json" in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(service) == before


def test_answers_that_were_lost_follow_from_the_folder(template: Path, fresh: Render) -> None:
    service = fresh()
    before = tree(service)
    (service / ".twelvefold/answers.json").write_text("{}", encoding="utf-8")
    rolled_up(template, service)
    assert tree(service) == before


@pytest.mark.parametrize("linked", ["Makefile", "vendor/chassis", "README.md", ".twelvefold/template.json"])
def test_a_link_out_of_the_service_is_not_followed(linked: str, template: Path, fresh: Render, tmp_path: Path) -> None:
    service = fresh()
    outside = (service / linked).rename(tmp_path / "outside")
    (service / linked).symlink_to(outside)
    for path in (outside / "health.py", outside):
        if path.is_file():
            path.write_text("outside\n", encoding="utf-8")
    before = tree(tmp_path)
    done = rollup(template, service)
    assert done.returncode == 2
    assert f"{linked} is a symbolic link" in done.stderr
    assert "Traceback" not in done.stderr
    assert tree(tmp_path) == before


def test_a_folder_in_place_of_an_owned_file_is_refused_in_a_sentence(template: Path, fresh: Render) -> None:
    service = fresh()
    (service / "Dockerfile").unlink()
    (service / "Dockerfile").mkdir()
    done = rollup(template, service)
    assert (done.returncode, "Dockerfile is not a file" in done.stderr) == (2, True), done.stderr


def test_a_folder_whose_name_is_no_slug_is_refused_with_one_that_is(template: Path, tmp_path: Path) -> None:
    (tmp_path / "Pay_API").mkdir()
    done = rollup(template, tmp_path / "Pay_API")
    assert done.returncode == 2
    assert "type pay-api" in done.stderr
    assert list((tmp_path / "Pay_API").iterdir()) == []


def test_an_undeclared_answer_is_not_stored(template: Path, fresh: Render) -> None:
    service = fresh()
    file = service / ".twelvefold/answers.json"
    stored = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**stored, "removed_question": "x"}), encoding="utf-8")
    rolled_up(template, service)
    assert json.loads(file.read_text(encoding="utf-8")) == stored


def test_the_token_of_the_template_s_remote_goes_nowhere(template: Path, tmp_path: Path) -> None:
    said = rolled_up(template, tmp_path / "pay-api")
    assert "secret" not in said
    assert not [path for path, (_, content) in tree(tmp_path / "pay-api").items() if b"token:secret" in content]
