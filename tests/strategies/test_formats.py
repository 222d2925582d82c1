"""Formats by entry point: ours, and one that another package brings."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from commands import Done, run
from conftest import commit, git
from environments import TEMPLATE
from histories import History, edit
from twelvefold.strategies import formats
from twelvefold.strategies.formats import format_named, names
from twelvefold.strategies.rules import BadRulesError

UNION = """
from twelvefold.strategies.text import MergedText


def merge(base, template, service, rules):
    lines = dict.fromkeys([*template.splitlines(), *service.splitlines()])
    return MergedText("".join(f"{line}\\n" for line in lines))
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What one test finds is not there in the next."""
    format_named.cache_clear()
    yield
    format_named.cache_clear()


def installed(folder: Path, name: str, points: Mapping[str, str], modules: Mapping[str, str]) -> Path:
    """A folder to have on sys.path, as installing the package `name` would leave it."""
    about = folder / f"{name}-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
    lines = "".join(f"{point} = {value}\n" for point, value in points.items())
    (about / "entry_points.txt").write_text(f"[{formats.GROUP}]\n{lines}")
    for module, text in modules.items():
        (folder / f"{module}.py").write_text(text)
    return folder


def test_ours_are_registered_as_everybody_else_s_are() -> None:
    declared = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert names() == sorted(declared[formats.GROUP])
    assert {type(format_named(name)).__module__.rpartition(".")[2] for name in names()} == set(names())


def test_each_of_ours_has_cases() -> None:
    assert names() == sorted(file.stem for file in Path(__file__).with_name("cases").glob("*.yaml"))


def test_what_is_not_there_is_refused_with_what_is() -> None:
    with pytest.raises(BadRulesError) as refused:
        format_named("tomlo")
    assert str(refused.value) == (
        "format must be one of env, ignore, json, text, toml, yaml; it is 'tomlo'. If a package of your own has it, "
        "run with it: uvx --with PACKAGE …"
    )


def test_ours_are_found_without_a_look_at_every_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def looked(**_: str) -> None:
        raise AssertionError("all packages were read")

    monkeypatch.setattr("importlib.metadata.entry_points", looked)
    assert format_named("toml")


@pytest.mark.parametrize(
    ("packages", "said"),
    [
        ({"org": "gone"}, "format union, which is gone of org, cannot be imported: No module named 'gone'."),
        ({"org": "union:nothing"}, "cannot be imported: module 'union' has no attribute 'nothing'."),
        ({"org": "broken"}, "format union, which is broken of org, cannot be imported: division by zero."),
        ({"org": "empty"}, "format union, which is empty of org, needs load and conform, or merge."),
        ({"org": "union", "other": "broken"}, "is there more than once, as broken of other and as union of org."),
    ],
    ids=str,
)
def test_what_cannot_be_used_is_refused_with_the_package_that_has_it(
    packages: Mapping[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {"union": UNION, "broken": "1 / 0\n", "empty": ""}
    for name, value in packages.items():
        monkeypatch.syspath_prepend(str(installed(tmp_path / name, name, {"union": value}, modules)))
    with pytest.raises(BadRulesError) as refused:
        format_named("union")
    assert said in str(refused.value)


def test_a_package_that_is_there_twice_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("a", "b"):
        monkeypatch.syspath_prepend(str(installed(tmp_path / folder, "org", {"union": "union"}, {"union": UNION})))
    assert format_named("union")


def with_twelvefold(history: History, service: Path, env: Mapping[str, str]) -> Done:
    options = ("--template", history.repository, "--ref", "0.2.0", "--no-lock")
    return run("twelvefold", "rollup", service, *options, env=env)


def with_scaraplate(history: History, service: Path, env: Mapping[str, str]) -> Done:
    git(history.repository, "remote", "add", "origin", "https://git.example.com/org/template.git")
    return run("scaraplate", "rollup", history.repository, service, "--no-input", env=env)


BOTH = pytest.mark.parametrize("rollup", [with_twelvefold, with_scaraplate])
Rollup = Callable[[History, Path, Mapping[str, str]], Done]


@pytest.fixture
def united(history: History, service: Path) -> History:
    """A template whose new release merges notes.txt as `union`; the team has added a line to it."""
    history.merged["notes.txt"] = {"format": "union"}
    history.release("0.2.0", {"notes.txt": "one\nsix\n"})
    edit(service, "notes.txt", "five\n", "five\nours\n")
    commit(service, "The team's")
    return history


@BOTH
def test_both_commands_merge_by_a_format_of_another_package(
    rollup: Rollup, united: History, service: Path, tmp_path: Path
) -> None:
    path = installed(tmp_path / "site", "org-formats", {"union": "org_formats"}, {"org_formats": UNION})
    done = rollup(united, service, {**os.environ, "PYTHONPATH": str(path)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert (service / "notes.txt").read_text().split() == ["one", "six", "two", "three", "four", "five", "ours"]


@BOTH
def test_both_commands_refuse_a_format_whose_package_is_not_there(
    rollup: Rollup, united: History, service: Path
) -> None:
    done = rollup(united, service, os.environ)
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert "notes.txt: format must be one of env, ignore, json, text, toml, yaml; it is 'union'." in said
    assert "Traceback" not in said
    assert git(service, "status", "--porcelain") == ""
