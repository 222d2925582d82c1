from __future__ import annotations

from typing import Any

import pytest

from twelvefold.engine.ownership import MERGED, Migrations, merged_files
from twelvefold.errors import RefusedError
from twelvefold.strategies.rules import BadRulesError

ANSWERS: dict[str, str | bool] = {"package_name": "payments", "database": True}


def moved(**paths: str) -> dict[str, str]:
    return Migrations.load({"migrations": {"paths": paths}}).moved(ANSWERS)


def test_a_path_has_the_answers_filled_in() -> None:
    old, new = "src/{{ cookiecutter.package_name }}/api.py", "src/{{ cookiecutter.package_name }}/http.py"
    assert moved(**{old: new}) == {"src/payments/api.py": "src/payments/http.py"}


def test_renames_are_followed_to_their_end() -> None:
    assert moved(a="b", b="c", c="d", x="y") == {"a": "d", "b": "d", "c": "d", "x": "y"}


def test_a_file_that_was_renamed_back_and_forth_ends() -> None:
    assert set(moved(a="b", b="a")) == {"a", "b"}


@pytest.mark.parametrize(
    "path", ["../a", "/a", ".git/hooks/a", "{{ cookiecutter.none }}/a", "a/{{ cookiecutter.none }}"]
)
def test_a_path_that_leads_out_is_refused_on_either_side(path: str) -> None:
    for paths in ({path: "b"}, {"b": path}):
        with pytest.raises(RefusedError, match="is no path in a service"):
            moved(**paths)


@pytest.mark.parametrize(
    "path", ["{{ x", "{{ 1 / 0 }}", "{{ 1 + 'a' }}", "{{ cookiecutter.__class__.__mro__[1].__subclasses__() }}"]
)
def test_a_path_that_cannot_be_rendered_is_refused_and_executes_nothing(path: str) -> None:
    with pytest.raises(RefusedError, match="a path cannot be rendered"):
        moved(**{path: "b"})


@pytest.mark.parametrize("rules", [{}, {"migrations": None}, {"migrations": {"paths": None, "choices": {}}}])
def test_nothing_migrates_by_default(rules: dict[str, Any]) -> None:
    assert Migrations.load(rules) == Migrations()
    assert Migrations().moved(ANSWERS) == {}


def test_each_merged_file_has_the_rules_of_its_own_config() -> None:
    config = {"path": "a.toml", "format": "toml", "keys": {"project": "team"}}
    mapping = {"a.toml": {"strategy": MERGED, "config": config}, "b": "scaraplate.strategies.Overwrite"}
    mapping["copy"] = {"strategy": "twelvefold.strategies.strategy.Applied", "config": {"path": "other"}}
    found = merged_files({"strategies_mapping": mapping})
    assert list(found) == ["a.toml"]
    assert found["a.toml"].merge(b"[project]\na = 1\n", b"[project]\na = 2\n", b"[project]\na = 3\n").content == (
        b"[project]\na = 3\n"
    )


def test_a_merged_file_without_a_path_is_refused() -> None:
    with pytest.raises(BadRulesError, match="needs its path"):
        merged_files({"strategies_mapping": {"a": {"strategy": MERGED}}})
