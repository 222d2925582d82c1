"""The template's application, and repositories that have one of their own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import commit, git
from histories import History, edit, plain, rolled_up, twelvefold, write
from trees import tree
from twelvefold.engine.application import Application, found_in
from twelvefold.errors import RefusedError

CI = """\
stages: [check, test]

lint:
  stage: check
  script: [make lint]

# To production.
deploy: &deploy
  stage: test
  script: [make deploy]

deploy-again:
  <<: *deploy

test:
  stage: test
  script: [make test]
  parallel:
    matrix: [unit, smoke]
"""
RULES: dict[str, Any] = {
    "application": {
        "paths": ["src/{{ cookiecutter.package_name }}/*", "owned/run.sh", "notes.txt", "seeds/*"],
        "keys": {
            "ci.yml": ["deploy", "deploy-again", "test.parallel.matrix=smoke"],
            "pyproject.toml": ["tool.ruff.lint"],
            "owned/style.toml": ['"a.b".c'],
        },
    }
}
STYLE = '["a.b"]\nd = 1\nc = 2\n'


@pytest.fixture
def history(tmp_path: Path) -> History:
    (tmp_path / "template").mkdir()
    history = History(tmp_path / "template", rules=RULES)
    ci = CI.replace("deploy: &deploy", "deploy:").replace("  <<: *deploy", "  stage: test\n  script: [make deploy]")
    src = {"src/<<cookiecutter.package_name>>/api.py": "API = 1\n"}
    # src/ is seeded there, as whatever has no rule
    history.release("0.1.0", {"ci.yml": ci, "owned/style.toml": STYLE, **src})
    return history


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    write(tmp_path / "billing", "app.py", "APP = 1\n")
    write(tmp_path / "billing", "notes.txt", "our notes\n")
    write(tmp_path / "billing", "ci.yml", "# Ours.\nstages: [ship]\n\ndeploy:\n  stage: ship\n  script: [./ours]\n")
    commit(tmp_path / "billing", "Grown")
    return tmp_path / "billing"


def adopt(history: History, repository: Path, *arguments: str) -> str:
    options = ("--template", str(history.repository), "--no-lock", "--no-input", "--yes", "--commit", *arguments)
    done = twelvefold("adopt", repository, *options)
    assert done.exit_code in {0, 2}, done.output
    return done.output


def test_an_application_of_its_own_is_spared_the_template_s(history: History, grown: Path) -> None:
    before = tree(grown)
    said = adopt(history, grown)
    assert (
        "This repository has an application of its own (app.py). What the template has for a new one is left out, now "
        "and in later updates: src/pay_api/*, owned/run.sh, notes.txt, seeds/*, ci.yml (deploy, deploy-again, "
    ) in said
    after = tree(grown)
    assert not [path for path in after if path.startswith(("src/", "seeds/"))]
    assert "owned/run.sh" not in after
    assert {path: after[path] for path in ("app.py", "notes.txt")} == {
        path: before[path] for path in ("app.py", "notes.txt")
    }
    ci = yaml.safe_load((grown / "ci.yml").read_text())
    assert ci["deploy"] == {"stage": "ship", "script": ["./ours"]}
    assert set(ci) == {"stages", "deploy", "lint", "test"}
    assert ci["test"]["parallel"]["matrix"] == ["unit"]
    assert "[tool.ruff.lint]" not in (grown / "pyproject.toml").read_text()
    assert (grown / "owned/style.toml").read_text() == '["a.b"]\nd = 1\n'
    assert "Nothing to do" in rolled_up(history, grown, "0.1.0")
    done = twelvefold("status", grown, "--template", history.repository)
    assert (done.exit_code, "In step with the template." in done.output) == (0, True), done.output


def test_later_updates_keep_to_it(history: History, grown: Path) -> None:
    """New files and keys of the application are spared as well, and its own are left alone; all else comes."""
    adopt(history, grown)
    changes = {
        "seeds/new.py": "NEW = 1\n",
        "src/<<cookiecutter.package_name>>/new.py": "NEW = 1\n",
        "owned/run.sh": "#!/bin/sh\necho newer\n",
        "owned/core.py": "NEW = 2\n",
        "owned/style.toml": STYLE.replace("d = 1", "d = 3"),
        "notes.txt": "other\n",
        "ci.yml": history.files["ci.yml"]
        .replace("make deploy", "make deploy-all")
        .replace("make lint", "make lint types"),
    }
    history.release("0.2.0", changes)
    before = tree(grown)
    rolled_up(history, grown, "0.2.0", "--commit")
    changed = {path for path, file in tree(grown).items() if file != before.get(path)}
    assert {path for path in changed if not path.startswith(".twelvefold/")} == {
        "owned/core.py",
        "owned/style.toml",
        "ci.yml",
    }
    ci = yaml.safe_load((grown / "ci.yml").read_text())
    assert (ci["deploy"]["script"], ci["lint"]["script"]) == (["./ours"], ["make lint types"])
    assert (grown / "owned/style.toml").read_text() == '["a.b"]\nd = 3\n'
    assert "Nothing to do" in rolled_up(history, grown, "0.2.0")


def test_a_way_by_steps_and_a_direct_one_come_to_the_same(history: History, grown: Path, tmp_path: Path) -> None:
    adopt(history, grown)
    other = Path(shutil.copytree(grown, tmp_path / "other"))
    history.release("0.2.0", {"owned/core.py": "NEW = 2\n", "seeds/new.py": "NEW = 1\n"})
    history.release(
        "0.3.0",
        {"owned/core.py": "NEW = 3\n", "ci.yml": CI.replace("<<: *deploy", "stage: test").replace("&deploy", "")},
    )
    rolled_up(history, grown, "0.2.0", "--commit")
    rolled_up(history, grown, "0.3.0", "--commit")
    rolled_up(history, other, "0.3.0", "--commit")
    assert tree(grown) == tree(other)


def test_without_that_line_in_the_memory_the_application_comes(history: History, grown: Path) -> None:
    adopt(history, grown)
    edit(grown, ".twelvefold/template.json", ',\n  "application": "own"', "")
    said = rolled_up(history, grown, "0.1.0", exit_code=2)
    assert "added    seeds/api.py" in said
    assert (grown / "src/pay_api/api.py").exists()


def test_a_repository_without_one_begins_with_the_template_s(history: History, tmp_path: Path) -> None:
    write(tmp_path / "empty", "README.md", "# Nothing yet\n")
    write(tmp_path / "empty", "tests/test_later.py", "")
    commit(tmp_path / "empty", "Begin")
    assert "application of its own" not in adopt(history, tmp_path / "empty")
    assert (tmp_path / "empty/src/pay_api/api.py").exists()
    assert (tmp_path / "empty/owned/run.sh").exists()


def test_plain_scaraplate_does_not_bring_it(history: History, grown: Path) -> None:
    write(grown, "requirements.txt", "flask\n")
    before = tree(grown)
    done = plain(history, grown)
    assert (done.exit_code, "requirements.txt: flask" in done.output) == (2, True), done.output
    (grown / "requirements.txt").unlink()
    done = plain(history, grown)
    assert (done.exit_code, "an application of its own (app.py)" in done.output) == (2, True), done.output
    assert "Run: twelvefold adopt" in done.output
    assert {path: file for path, file in before.items() if path != "requirements.txt"} == tree(grown)
    adopt(history, grown)
    before = tree(grown)
    done = plain(history, grown)
    assert (done.exit_code, "Run: twelvefold rollup" in done.output) == (2, True), done.output
    assert tree(grown) == before


@pytest.mark.parametrize(
    "path",
    [
        "app.py",
        "src/pay/__init__.py",
        "pay/web/views.py",
        "manage.py",
        "main.go",
        "Dockerfile",
        "docker-compose.yml",
        "deploy/Chart.yaml",
        "Procfile",
        "api.Dockerfile",
        "backend/compose.prod.yaml",
        "not yet committed.py",
        "web/app.tsx",
        "bin/serve",
        "notebooks/model.ipynb",
        "commands.sh",
    ],
)
def test_an_application_is_seen(path: str, tmp_path: Path) -> None:
    write(tmp_path, "README.md", "# Pay\n")
    commit(tmp_path, "Begin")
    write(tmp_path, path, "")
    assert found_in(tmp_path) == [path]


def test_no_application_is_seen_where_there_is_none(tmp_path: Path) -> None:
    beside = ("setup.py", "noxfile.py", "conftest.py", "tests/test_a.py", "tests/deep/helpers.py", "docs/conf.py")
    for path in (
        *beside,
        ".github/workflows/compose.yml",
        ".devcontainer/Dockerfile",
        "test_it.py",
        "commitlint.config.js",
        "it_test.py",
        "README.md",
        "pyproject.toml",
        ".gitlab-ci.yml",
        "Makefile",
    ):
        write(tmp_path, path, "")
    write(tmp_path, ".gitignore", "build/\n")
    write(tmp_path, "build/app.py", "")
    commit(tmp_path, "Begin")
    assert found_in(tmp_path) == []


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        ({"path": []}, "application takes paths and keys"),
        ([], None),
        ("x", "application takes paths and keys"),
        ({"paths": "x"}, "paths is a list of texts"),
        ({"keys": ["x"]}, "paths is a list of texts"),
        ({"keys": {"a": [1]}}, "paths is a list of texts"),
    ],
    ids=str,
)
def test_a_declaration_that_is_none_is_refused(declared: object, said: str | None) -> None:
    if said is None:
        assert Application.load({"application": declared}) == Application()
        return
    with pytest.raises(RefusedError, match=said):
        Application.load({"application": declared})


def test_a_submodule_and_a_link_are_seen(tmp_path: Path) -> None:
    write(tmp_path / "other", "app.py", "")
    commit(tmp_path / "other", "Begin")
    (tmp_path / "main").mkdir()
    git(tmp_path / "main", "init", "--quiet")
    (tmp_path / "main/linked").symlink_to("../other")
    git(
        tmp_path / "main",
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "--quiet",
        str(tmp_path / "other"),
        "sub",
    )
    assert found_in(tmp_path / "main") == ["linked", "sub"]


def test_a_template_that_does_not_say_what_its_application_is_is_refused(history: History, grown: Path) -> None:
    """Such as an older release, which is the newest one today: it would be put over the one that is there."""
    older = History(history.repository, rules={}, files=dict(history.files))
    older.release("0.0.1")
    subprocess.run(["sed", "-i", "/^application/d", "scaraplate.yaml"], cwd=history.repository, check=True)
    commit(history.repository, "Say nothing of it")
    before = tree(grown)
    options = ("--template", history.repository, "--ref", "main", "--no-lock")
    done = twelvefold("adopt", grown, *options, "--no-input", "--yes")
    said = "There is an application already, and this version of the template does not say what belongs to its own"
    assert (done.exit_code, said in done.output, tree(grown)) == (2, True, before)
    adopt(history, grown, "--ref", "0.1.0")
    before = tree(grown)
    done = twelvefold("rollup", grown, *options, "--allow-downgrade")
    assert (done.exit_code, said in done.output, tree(grown)) == (2, True, before)
    assert twelvefold("status", grown, "--template", history.repository).exit_code in {0, 1}


def test_the_guess_of_the_package_may_be_corrected(history: History, grown: Path) -> None:
    adopt(history, grown)
    rolled_up(history, grown, "0.1.0", "--answer", "package_name=app", "--commit")
    assert not (grown / "src").exists()


@pytest.mark.parametrize("is_repository", [True, False])
def test_plain_scaraplate_refuses_where_git_does_not_answer(
    is_repository: bool, history: History, grown: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_repository:
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
        monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
        monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
        monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(history.repository))
    else:
        shutil.rmtree(grown / ".git")
    before = tree(grown)
    done = plain(history, grown)
    said = "git does not say what is in" if is_repository else "an application of its own (app.py)"
    assert (done.exit_code, said in done.output, tree(grown)) == (2, True, before), done.output


def test_keys_that_cannot_be_left_out_are_refused(history: History, grown: Path) -> None:
    rules = {"paths": [], "keys": {".gitignore": ["dist"]}}
    history.rules = {"application": rules}
    history.release("0.2.0", {})
    before = tree(grown)
    done = twelvefold("adopt", grown, "--template", history.repository, "--no-lock", "--no-input", "--yes")
    assert (done.exit_code, ".gitignore cannot be read without dist" in done.output) == (2, True), done.output
    assert tree(grown) == before
    assert git(grown, "status", "--porcelain") == ""
