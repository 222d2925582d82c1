"""A question that somebody adds to cookiecutter.json, and nothing else: its answers are looked at like all others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import Done, run
from conftest import Render, commit
from trees import tree

GOOD = 'A-12 & "Zürich" {{ x }} 50 %'
BAD = {
    "<<1+1>>": "it holds a Jinja tag",
    "<% if 1 %>2<% endif %>": "it holds a Jinja tag",
    "a << 'b' >> c": "it holds a Jinja tag",
    " padded": "it begins or ends with a space",
    "bell\a": "it holds a control character",
    "x" * 201: "it has 201 characters; type 200 at most",
}


@pytest.fixture(scope="module")
def widened_template(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template that asks one question more, for a text."""
    copy = Path(shutil.copytree(template, tmp_path_factory.mktemp("widened") / "twelvefold", symlinks=True))
    declared = json.loads((copy / "cookiecutter.json").read_text(encoding="utf-8"))
    asked = {key: value for key, value in declared.items() if not key.startswith("_")}
    added = {**asked, "cost_center": "none", "note": "", **declared}
    (copy / "cookiecutter.json").write_text(json.dumps(added), encoding="utf-8")
    commit(copy, "Two questions more")
    return copy


def with_cookiecutter(template: Path, service: Path, answer: str) -> Done:
    shutil.rmtree(service)
    options = ("--no-input", "--default-config", "--output-dir", service.parent)
    return run("cookiecutter", template, *options, f"cost_center={answer}")


def with_twelvefold(template: Path, service: Path, answer: str) -> Done:
    options = ("--template", template, "--ref", "HEAD", "--no-lock")
    return run("twelvefold", "rollup", service, *options, f"--answer=cost_center={answer}")


def with_scaraplate(template: Path, service: Path, answer: str) -> Done:
    """The answer stands in the service already, as an edit by hand or an older template left it."""
    file = service / ".twelvefold/answers.json"
    stored = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**stored, "cost_center": answer}), encoding="utf-8")
    return run("scaraplate", "rollup", template, service, "--no-input")


Way = Callable[[Path, Path, str], Done]
ways = pytest.mark.parametrize("way", [with_cookiecutter, with_twelvefold, with_scaraplate])


def answers_of(service: Path) -> dict[str, str | bool]:
    answers: dict[str, str | bool] = json.loads((service / ".twelvefold/answers.json").read_text(encoding="utf-8"))
    return answers


@ways
def test_a_good_answer_is_kept_as_it_was_given(way: Way, widened_template: Path, fresh: Render) -> None:
    service = fresh()
    commit(service, "Rendered")
    done = way(widened_template, service, GOOD)
    assert done.returncode == 0, done.stdout + done.stderr
    assert answers_of(service)["cost_center"] == GOOD
    assert answers_of(service)["note"] == ""


@ways
@pytest.mark.parametrize(("answer", "said"), BAD.items(), ids=lambda text: f"{text!r:.20}")
def test_a_bad_answer_is_refused_and_never_rendered(
    way: Way, answer: str, said: str, widened_template: Path, fresh: Render
) -> None:
    service = fresh()
    commit(service, "Rendered")
    before = tree(service)
    done = way(widened_template, service, answer)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"cost_center = {json.dumps(answer)[:50]}" in done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    if way is with_cookiecutter:
        assert list(service.parent.iterdir()) == []
    else:
        edited = {".twelvefold/answers.json"} if way is with_scaraplate else set()
        assert {path for path, file in tree(service).items() if before.get(path) != file} == edited
        assert before.keys() == tree(service).keys()


def test_what_python_hands_over_is_refused_by_the_hook(widened_template: Path, tmp_path: Path) -> None:
    """Nobody types a command then: cookiecutter's settings, and whoever calls it."""
    (tmp_path / "settings.yaml").write_text("default_context: {cost_center: '<<1+1>>'}\n")
    output = tmp_path / "out"
    output.mkdir()
    options = ("--no-input", "--config-file", tmp_path / "settings.yaml", "--output-dir", output)
    done = run("cookiecutter", widened_template, *options)
    assert done.returncode != 0
    assert 'cost_center = "<<1+1>>": it holds a Jinja tag' in done.stderr
    assert list(output.iterdir()) == []


def test_a_question_below_the_check_is_refused_with_where_it_belongs(widened_template: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(widened_template, tmp_path / "twelvefold", symlinks=True))
    declared = json.loads((copy / "cookiecutter.json").read_text(encoding="utf-8"))
    cost_center = declared.pop("cost_center")
    (copy / "cookiecutter.json").write_text(json.dumps({**declared, "cost_center": cost_center}), encoding="utf-8")
    done = run("cookiecutter", copy, "--no-input", "--default-config", "--output-dir", tmp_path / "out")
    assert done.returncode == 2, done.stderr
    assert "In cookiecutter.json each question stands above __checked." in done.stderr
