"""The style of a service: nitpick sees each guarded key when a team loosens it, and mends it."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import tomlkit
import yaml

from commands import Done, run
from conftest import Render
from environments import TEMPLATE, without_project
from twelvefold.strategies.rules import Kind, Rules

STYLE = ".nitpick-style.toml"
ANSWERS: dict[str, str | bool] = {"ci": "github", "database": True}


def nitpick(service: Path, command: str) -> Done:
    return run(Path(sys.executable).parent / "nitpick", command, cwd=service, env=without_project())


@pytest.fixture(scope="module")
def style(rendered: Render) -> dict[str, Any]:
    return tomllib.loads((rendered(**ANSWERS) / STYLE).read_text(encoding="utf-8"))


@pytest.fixture
def service(rendered: Render, tmp_path: Path) -> Path:
    """What nitpick looks at, which is little of a service."""
    for name in ("pyproject.toml", ".pre-commit-config.yaml", ".nitpick.toml", STYLE):
        shutil.copy(rendered(**ANSWERS) / name, tmp_path)
    (tmp_path / "x.py").touch()  # nitpick looks for one
    return tmp_path


def leaves(data: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in data.items():
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def violations(service: Path, *, fix: bool = False) -> list[str]:
    """What nitpick says, in this process: a second each is a lot for each key."""
    from nitpick.core import Nitpick

    before = Path.cwd()
    os.chdir(service)
    try:
        return [fuss.pretty for fuss in Nitpick.singleton().init(service, True).run(autofix=fix)]
    finally:
        os.chdir(before)


def edited(service: Path, change: Callable[[tomlkit.TOMLDocument], None]) -> None:
    file = service / "pyproject.toml"
    document = tomlkit.parse(file.read_text(encoding="utf-8"))
    change(document)
    file.write_text(tomlkit.dumps(document), encoding="utf-8")


def at(document: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        document = document[key]
    return document


def mutate(document: tomlkit.TOMLDocument, path: tuple[str, ...], change: Callable[[Any, str], None]) -> None:
    change(at(document, path[:-1]), path[-1])


def mutations(value: Any) -> list[tuple[str, Callable[[Any, str], None]]]:
    """Each way to loosen a key: to remove it, to say something else, to drop one member."""

    def remove(table: Any, key: str) -> None:
        del table[key]

    def other(table: Any, key: str) -> None:
        table[key] = {bool: False, int: 1, str: "other"}[type(value)]

    def drop(number: int) -> Callable[[Any, str], None]:
        def do(table: Any, key: str) -> None:
            del table[key][number]

        return do

    if isinstance(value, list):
        return [("removed", remove), *((f"without {value[number]}", drop(number)) for number in range(len(value)))]
    return [("removed", remove), ("another", other)]


def test_a_new_service_is_as_the_style_says(service: Path) -> None:
    done = nitpick(service, "check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No violations" in done.stdout


@pytest.mark.slow
def test_each_guarded_key_is_noticed_and_mended(service: Path, style: dict[str, Any]) -> None:
    """Of each table of the style, one key at a time: with no other of it that could be meant by what is said."""
    file = service / "pyproject.toml"
    untouched = file.read_text(encoding="utf-8")
    guarded = dict(leaves(style["pyproject.toml"]))
    seen = 0
    for chosen in rounds((path, name, change) for path, value in guarded.items() for name, change in mutations(value)):
        for path, _, change in chosen:
            edited(service, partial(mutate, path=path, change=change))
        said = "\n".join(violations(service))
        for path, name, _ in chosen:
            assert said.count(path[-1]) >= [other[-1] for other, *_ in chosen].count(path[-1]), f"{path} {name}: {said}"
        violations(service, fix=True)
        assert violations(service) == [], chosen
        for path, value in guarded.items():
            held = at(tomllib.loads(file.read_text(encoding="utf-8")), path)
            assert set(held) == set(value) if isinstance(value, list) else held == value
        file.write_text(untouched, encoding="utf-8")
        seen += len(chosen)
    assert seen > 50


Loosened = tuple[tuple[str, ...], str, Callable[[Any, str], None]]


def rounds(all_of_them: Iterable[Loosened]) -> list[list[Loosened]]:
    """Spread them over as few rounds as there can be with one key of each table in each."""
    found: list[list[Loosened]] = []
    for one in all_of_them:
        taken = [{path[:-1] for path, *_ in chosen} for chosen in found]
        number = next((number for number, tables in enumerate(taken) if one[0][:-1] not in tables), len(found))
        found[number:] = [[*chosen, one] for chosen in found[number : number + 1] or [[]]] + found[number + 1 :]
    return found


@pytest.mark.slow
def test_each_hook_that_is_dropped_or_emptied_is_noticed_and_mended(service: Path) -> None:
    file = service / ".pre-commit-config.yaml"
    untouched = file.read_text(encoding="utf-8")
    hooks = yaml.safe_load(untouched)["repos"][0]["hooks"]
    assert len(hooks) > 10
    for hook in hooks:
        changed = yaml.safe_load(untouched)
        changed["repos"][0]["hooks"] = [one for one in hooks if one["id"] != hook["id"]]
        check_hook(service, changed, hook)
        changed["repos"][0]["hooks"] = [{**one, "entry": "true"} if one == hook else one for one in hooks]
        check_hook(service, changed, hook)
        file.write_text(untouched, encoding="utf-8")


def check_hook(service: Path, config: dict[str, Any], hook: dict[str, Any]) -> None:
    file = service / ".pre-commit-config.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    assert hook["id"] in "\n".join(violations(service)), hook["id"]
    violations(service, fix=True)
    assert violations(service) == [], hook["id"]
    mended = yaml.safe_load(file.read_text(encoding="utf-8"))["repos"]
    assert [one for repo in mended for one in repo["hooks"] if one["id"] == hook["id"]] == [hook]


def test_each_forbidden_file_is_noticed(service: Path, style: dict[str, Any]) -> None:
    forbidden = style["nitpick"]["files"]["absent"]
    assert {"mypy.ini", "pytest.ini", "ruff.toml", "setup.cfg", ".coveragerc"} <= set(forbidden)
    for name, reason in forbidden.items():
        (service / name).touch()
        said = "\n".join(violations(service))
        assert name in said
        assert reason in said
        (service / name).unlink()


@pytest.mark.slow
def test_the_commands_notice_mend_and_are_content(service: Path) -> None:
    edited(service, lambda document: at(document, ("tool", "mypy")).remove("strict"))
    assert nitpick(service, "check").returncode == 1
    nitpick(service, "fix")
    assert nitpick(service, "check").returncode == 0


@pytest.mark.parametrize("name", [".nitpick.toml", STYLE])
def test_without_its_files_the_style_does_not_pass(name: str, service: Path) -> None:
    """nitpick without a style would say that all is well."""
    (service / name).unlink()
    done = nitpick(service, "check")
    assert done.returncode != 0 or "No violations" not in done.stdout, done.stdout


def test_what_a_team_may_tune_is_not_in_the_style(service: Path) -> None:
    def tune(document: tomlkit.TOMLDocument) -> None:
        tool = at(document, ("tool",))
        tool["ruff"]["line-length"] = 100
        tool["ruff"]["lint"]["select"].append("D")
        tool["ruff"]["lint"]["ignore"].append("D203")
        tool["coverage"]["report"]["show_missing"] = False
        tool["pytest"]["ini_options"]["filterwarnings"].append("ignore::DeprecationWarning:old")
        at(document, ("project", "dependencies")).append("numpy>=2")
        at(document, ("project",))["version"] = "9"

    edited(service, tune)
    assert violations(service) == []


def test_the_style_is_what_the_rules_leave_to_the_template(rendered: Render, style: dict[str, Any]) -> None:
    """The hook reads the rules by itself, because it runs where the package `twelvefold` is not."""
    mappings = yaml.safe_load((TEMPLATE / "scaraplate.yaml").read_text(encoding="utf-8"))["strategies_mapping"]
    rules = Rules.load(mappings["pyproject.toml"]["config"]["keys"])
    data = tomllib.loads((rendered(**ANSWERS) / "pyproject.toml").read_text(encoding="utf-8"))
    expected = {}
    for path, value in leaves(data):
        rule = rules.at(path)
        owned = rule.kind is Kind.OWNED and not isinstance(value, list)
        if owned or (rule.kind is Kind.MEMBERS and rule.by == ("value",) and value):
            expected[path] = value
    assert dict(leaves(style["pyproject.toml"])) == expected
