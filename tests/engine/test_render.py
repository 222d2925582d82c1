"""`twelvefold rollup` makes of a template what `scaraplate rollup` does, and needs nothing of it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import commit, git
from forks import PICTURE
from histories import FILES, SLUG, History, answers_of, plain, render, rolled_up, twelvefold, write
from trees import tree

SHOUT = """
print("imported, and said so")
from jinja2.ext import Extension
from local_extensions.words import MARK

class Shout(Extension):
    def __init__(self, environment):
        super().__init__(environment)
        environment.filters["shout"] = lambda text: text.upper() + MARK
"""
CHECK = """#!/bin/sh
test "$(basename "$PWD")" = "<< cookiecutter.project_slug >>" || exit 1
test "<< cookiecutter.ci >>" != refused || exit 1
"""
STAMP = """
import pathlib
file = pathlib.Path("owned/stamped.txt")
file.write_text(file.read_text().replace("STAMP", "<< cookiecutter.project_name | slugify >>"))
"""
MORE: Mapping[str, str] = {
    "owned/shouted.txt": "<< cookiecutter.package_name | shout >>\n",
    "owned/stamped.txt": "STAMP << cookiecutter.__kind >>\n",
    "owned/windows.txt": "one\r\n<< cookiecutter.ci >>\r\n",
    "owned/Ä ö [x] -.md": "<# nothing #># << cookiecutter.project_name >>",
    "owned/<< cookiecutter.package_name >>/.hidden": "",
    "owned/<% if cookiecutter.database %>database.txt<% endif %>": "with a database\n",
    "owned/static/kept.txt": "<< not rendered >>\r\n",
    "owned/<< cookiecutter.ci >>.mako": "<< not rendered >>",
    "seeds/<< cookiecutter.package_name >>.cfg": "[<< cookiecutter.package_name >>]\n",
}


@dataclass
class Fork(History):
    """A template with hooks in Python and sh, extensions of its own, and files of all kinds."""

    extra_rules: dict[str, str] = field(default_factory=dict)

    def write(self, version: str) -> None:
        super().write(version)
        write(self.repository, "local_extensions/__init__.py", "")
        write(self.repository, "local_extensions/words.py", f"MARK = {version!r}\n")
        write(self.repository, "local_extensions/shout.py", SHOUT)
        write(self.repository, "hooks/pre_gen_project.sh", CHECK)
        hook = self.repository / "hooks/post_gen_project.py"
        hook.write_text(f"{STAMP}\n{hook.read_text()}")
        rules = self.repository / "scaraplate.yaml"
        loaded = yaml.safe_load(rules.read_text())
        loaded["strategies_mapping"] |= self.extra_rules
        rules.write_text(yaml.safe_dump(loaded))
        file = self.repository / "cookiecutter.json"
        questions: dict[str, Any] = json.loads(file.read_text())
        questions["__kind"] = "<< cookiecutter.ci >> << cookiecutter._template_version >>"
        questions["_extensions"] += ["local_extensions.shout.Shout"]
        questions["_copy_without_render"] += ["owned/static"]
        questions["_jinja2_env_vars"]["lstrip_blocks"] = False
        file.write_text(json.dumps(questions))


@pytest.fixture
def fork(tmp_path: Path) -> Fork:
    repository = tmp_path / "template"
    repository.mkdir()
    fork = Fork(repository, files={**FILES, **MORE})
    fork.binaries["owned/picture.png"] = PICTURE
    fork.links["owned/link.txt"] = "windows.txt"
    fork.questions["project_name"] = "Pay Api"  # what both commands make of the folder's name
    fork.executable |= {"owned/windows.txt", "notes.txt"}
    fork.release("0.1.0")
    return fork


NEWER = {
    "owned/shouted.txt": "<< cookiecutter.package_name | shout >>!\n",
    "owned/new/<< cookiecutter.package_name >>.txt": "new\r\n",
    "seeds/later.txt": "later\n",
    "notes.txt": "one\ntwo\nthree\n4\nfive\n",
    "pyproject.toml": FILES["pyproject.toml"].replace("line-length = 100", "line-length = 90"),
}
ANSWERS: tuple[dict[str, str | bool], ...] = (
    {},
    {"database": True, "ci": "github"},
    {"project_name": "50 % 'Ä' \"b\" {{ x }}", "package_name": "p"},
    {"project_slug": "x"},
)


@pytest.mark.slow
@pytest.mark.parametrize("answers", ANSWERS, ids=str)
def test_both_commands_make_the_same_of_a_fork(answers: Mapping[str, str | bool], fork: Fork, tmp_path: Path) -> None:
    service = render(fork, "0.1.0", tmp_path, **answers)
    write(service, "owned/shouted.txt", "drift\n")
    (service / "owned/windows.txt").chmod(0o644)
    write(service, "seeds/api.py", "OURS = True\n")
    write(service, "notes.txt", "zero\none\ntwo\nthree\nfour\nfive\n")
    write(service, "pyproject.toml", (service / "pyproject.toml").read_text() + "\n[tool.ours]\nkey = 1\n")
    write(service, "ours.txt", "ours\n")
    commit(service, "The team's")
    other = Path(shutil.copytree(service, tmp_path / "other" / service.name))
    fork.release("0.2.0", NEWER)
    done = plain(fork, other)
    assert done.exit_code == 0, done.output
    assert "said so" not in rolled_up(fork, service, "0.2.0", exit_code=2)
    assert tree(service) == tree(other)
    package = answers.get("package_name", "pay_api")
    assert (service / "owned/shouted.txt").read_text() == f"{str(package).upper()}0.2.0!\n"
    assert (service / "owned/windows.txt").stat().st_mode & 0o777 == 0o755
    commit(service, "Updated")
    assert "Nothing to do" in rolled_up(fork, service, "0.2.0")


@pytest.mark.parametrize("answers", ANSWERS[:2], ids=str)
def test_both_commands_begin_alike(answers: Mapping[str, str | bool], fork: Fork, tmp_path: Path) -> None:
    """An empty repository adopted, and an empty folder rolled up: both are what cookiecutter renders."""
    expected = render(fork, "0.1.0", tmp_path, **answers)
    service = tmp_path / "adopted" / SLUG
    service.mkdir(parents=True)
    git(service, "init", "--quiet")
    git(service, "commit", "--quiet", "--allow-empty", "--message", "Begin")
    given = [f"--answer={name}={str(answer).lower()}" for name, answer in answers.items()]
    where = ("--template", fork.repository, "--ref", "0.1.0", "--no-lock", "--no-input", "--yes")
    done = twelvefold("adopt", service, *where, *given)
    assert done.exit_code == 0, done.output
    assert tree(service) == tree(expected)
    if not answers:  # scaraplate takes answers from the service alone
        done = plain(fork, tmp_path / "begun" / SLUG)
        assert done.exit_code == 0, done.output
        assert tree(tmp_path / "begun" / SLUG) == tree(expected)


def test_both_commands_name_a_service_without_answers_after_its_folder(fork: Fork, tmp_path: Path) -> None:
    service = render(fork, "0.1.0", tmp_path, project_slug="other-api")
    write(service, ".twelvefold/answers.json", json.dumps({"ci": "gitlab", "package_name": "pay_api"}))
    commit(service, "Lost")
    other = Path(shutil.copytree(service, tmp_path / "other" / service.name))
    fork.questions["project_dest"] = "asked for by scaraplate's own templates"
    fork.release("0.2.0", NEWER)
    assert plain(fork, other).exit_code == 0
    rolled_up(fork, service, "0.2.0")
    assert tree(service) == tree(other)
    named = {"project_name": "Other Api", "project_slug": "other-api", "project_dest": "other-api", "ci": "gitlab"}
    assert named.items() <= answers_of(service).items()


def test_a_rule_may_name_what_is_asked_for_the_first_time(fork: Fork, tmp_path: Path) -> None:
    service = render(fork, "0.1.0", tmp_path)
    other = Path(shutil.copytree(service, tmp_path / "other" / service.name))
    fork.questions["area"] = "north"
    fork.extra_rules["areas/{{ cookiecutter.area }}/*"] = "scaraplate.strategies.Overwrite"
    fork.release("0.2.0", {"areas/<< cookiecutter.area >>/a.txt": "a\n"})
    assert plain(fork, other).exit_code == 0
    rolled_up(fork, service, "0.2.0")
    assert tree(service) == tree(other)
    assert json.loads((service / ".twelvefold/manifest.json").read_text())["areas/north/a.txt"]["owner"] == "owned"


def test_both_commands_refuse_what_a_hook_in_sh_refuses(fork: Fork, tmp_path: Path) -> None:
    from cookiecutter.exceptions import FailedHookException

    service = render(fork, "0.1.0", tmp_path, ci="github")
    fork.questions["ci"] = ["gitlab", "github", "refused"]
    fork.release("0.2.0", NEWER)
    write(service, ".twelvefold/answers.json", json.dumps({**fork.questions, "ci": "refused"}))
    commit(service, "Refused")
    before = tree(service)
    with pytest.raises(FailedHookException):
        plain(fork, service)
    assert "Hook script failed (exit status: 1)" in rolled_up(fork, service, "0.2.0", exit_code=2)
    assert tree(service) == before


def imported(*arguments: str | Path, without: tuple[str, ...] = ()) -> set[str]:
    """The modules that the command has imported at its end, in a Python of its own that has not those `without`."""
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({without!r})); from twelvefold.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code in (0, 1, 2), end.code\n"
        "print(*(name for name, module in sys.modules.items() if module))"
    )
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


NEVER = ("arrow", "cookiecutter", "marshmallow", "packaging.requirements", "pkg_resources", "requests", "scaraplate")


def test_a_rollup_needs_neither_scaraplate_nor_cookiecutter(history: History, tmp_path: Path) -> None:
    service = render(history, "0.1.0", tmp_path)
    write(service, "owned/core.py", "drift = True\n")
    commit(service, "The team's")
    where = ("--template", history.repository, "--ref", "0.1.0", "--no-lock")
    found = imported("rollup", service, *where, without=NEVER)
    assert "twelvefold.engine.rendering.project" in found
    assert (service / "owned/core.py").read_text() == history.files["owned/core.py"]


def test_an_adoption_needs_neither_scaraplate_nor_cookiecutter(history: History, tmp_path: Path) -> None:
    write(tmp_path / SLUG, "ours.md", "ours\n")
    commit(tmp_path / SLUG, "Ours")
    where = ("--template", history.repository, "--ref", "0.1.0", "--no-lock", "--no-input", "--yes")
    found = imported("adopt", tmp_path / SLUG, *where, without=NEVER)
    assert "twelvefold.engine.rendering.project" in found
    assert (tmp_path / SLUG / "owned/core.py").read_text() == history.files["owned/core.py"]


@pytest.mark.parametrize("command", ["rollup", "status"])
def test_where_there_is_nothing_to_do_nothing_that_renders_is_imported(
    command: str, history: History, tmp_path: Path
) -> None:
    fresh = render(history, "0.1.0", tmp_path)
    found = imported(command, fresh, "--template", history.repository)
    assert "twelvefold.engine.plan" in found
    assert not found & {"cookiecutter", "filelock", "jinja2", "packaging.requirements", "scaraplate", "tree_sitter"}
