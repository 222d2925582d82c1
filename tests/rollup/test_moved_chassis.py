"""Where the chassis comes from is the template's to say: an update follows, from vendor/ to an index and back."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from pathlib import Path

import pytest

from conftest import Render, commit, git
from histories import edit, twelvefold, write
from trees import tree


@pytest.fixture
def fork(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "fork"))


def say(fork: Path, where: str, index: str = "") -> None:
    """Have the fork say where its chassis comes from."""
    path = fork / "cookiecutter.json"
    questions = json.loads(path.read_text(encoding="utf-8"))
    questions |= {"_chassis": where, "_chassis_index": index}
    path.write_text(json.dumps(questions, indent=2) + "\n", encoding="utf-8")
    commit(fork, f"From {where}")


def update(service: Path, fork: Path, exit_code: int = 0) -> str:
    if not (service / ".git").exists() or git(service, "status", "--porcelain"):
        commit(service, "Before")
    done = twelvefold("rollup", service, "--template", fork, "--ref", "HEAD", "--no-lock")
    assert done.exit_code == exit_code, done.output
    return done.output


def requirements(service: Path) -> list[str]:
    project = tomllib.loads((service / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [one for one in project["dependencies"] if one.startswith("twelvefold")]


@pytest.mark.slow
def test_there_and_on_and_back(fork: Path, fresh: Render) -> None:
    service = fresh(auth=True)
    edit(service, "pyproject.toml", '  "fastapi",\n', '  "fastapi",\n  "numpy>=2",  # ours\n')
    before = tree(service)
    say(fork, "twelvefold-chassis==0.3.0", "https://index.example/simple/")
    update(service, fork)
    assert not (service / "vendor").exists()
    assert requirements(service) == ["twelvefold-chassis-auth==0.3.0", "twelvefold-chassis==0.3.0"]
    text = (service / "pyproject.toml").read_text(encoding="utf-8")
    assert '  "numpy>=2",  # ours\n' in text
    assert tomllib.loads(text)["tool"]["uv"]["sources"]["twelvefold-chassis-auth"] == {"index": "chassis"}
    say(fork, "twelvefold-chassis==0.4.0", "https://index.example/simple/")
    update(service, fork)
    assert requirements(service) == ["twelvefold-chassis-auth==0.4.0", "twelvefold-chassis==0.4.0"]
    say(fork, "vendored")
    update(service, fork)
    now = {path: file for path, file in tree(service).items() if path != ".twelvefold/template.json"}
    assert now == {path: file for path, file in before.items() if path != ".twelvefold/template.json"}


def test_an_edit_in_vendor_that_goes_is_in_the_report(fork: Path, fresh: Render) -> None:
    service = fresh()
    write(service, "vendor/chassis/src/chassis/part.py", "# Patched in a hurry.\n")
    say(fork, "twelvefold-chassis==0.3.0")
    said = update(service, fork, exit_code=2)
    assert "vendor/chassis/src/chassis/part.py: removed, with your edits" in said
    assert not (service / "vendor").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "where",
    [
        "chassis==1",
        "acme-chassis==1",
        "",
        "vendor",
        "twelvefold-chassis==banana",
        "twelvefold-chassis @ git+https://x/y@1",
    ],
)
def test_what_is_no_requirement_on_it_is_refused(where: str, fork: Path, fresh: Render) -> None:
    service = fresh()
    commit(service, "Before")
    before = tree(service)
    say(fork, where)
    assert "twelvefold-chassis==1.2.3" in update(service, fork, exit_code=2)
    assert tree(service) == before


@pytest.mark.slow
def test_an_index_of_the_team_s_own_stays(fork: Path, fresh: Render) -> None:
    service = fresh()
    own = '[[tool.uv.index]]\nname = "acme"\nurl = "https://acme.example/simple/"  # ours\n'
    edit(service, "pyproject.toml", "[tool.uv.build-backend]\n", f"{own}\n[tool.uv.build-backend]\n")
    for where, index in (("0.3.0", "https://one.example/"), ("0.4.0", "https://two.example/")):
        say(fork, f"twelvefold-chassis=={where}", index)
        update(service, fork)
        text = (service / "pyproject.toml").read_text(encoding="utf-8")
        assert own in text
        indexes = {one["name"]: one["url"] for one in tomllib.loads(text)["tool"]["uv"]["index"]}
        assert indexes == {"acme": "https://acme.example/simple/", "chassis": index}
    say(fork, "vendored")
    update(service, fork)
    project = tomllib.loads((service / "pyproject.toml").read_text(encoding="utf-8"))
    assert [one["name"] for one in project["tool"]["uv"]["index"]] == ["acme"]


def test_from_an_index_nothing_the_template_owns_speaks_of_vendor(fork: Path, fresh: Render) -> None:
    service = fresh()
    say(fork, "twelvefold-chassis==0.3.0", "https://index.example/simple/")
    update(service, fork)
    assert not (service / "vendor/check.py").exists()
    for path in ("Makefile", "Dockerfile", ".dockerignore", ".pre-commit-config.yaml", "pyproject.toml"):
        assert not re.search(r"\bvendor(ed)?\b(?!\.)", (service / path).read_text(encoding="utf-8")), path
