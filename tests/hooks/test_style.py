"""The generator of the style, on rules and values of its own; tests/render/test_nitpick.py has what comes of it."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments import TEMPLATE
from twelvefold.strategies.rules import Rules

HOOK = runpy.run_path(str(TEMPLATE / "hooks/style.py"))
style = HOOK["style"]
PATTERNS = st.lists(st.sampled_from(["a", "b", "*", "a*", '"p.q"']), max_size=3).map(".".join)
RULES = st.sampled_from(["owned", "team", "default", "members", {"members": "value"}, {"members": ["id", "name"]}])
PATHS = st.lists(st.sampled_from(["a", "ab", "b", "p.q", "*"]), max_size=4).map(tuple)


def made(folder: Path, text: str, keys: dict[str, Any]) -> dict[str, Any]:
    (folder / "x.toml").write_text(text, encoding="utf-8")
    read = tomllib.loads(style([{"path": "x.toml", "format": "toml", "keys": keys}], folder))
    assert read.pop("nitpick")["files"]["absent"]
    return read


@pytest.mark.parametrize(
    ("keys", "guarded"),
    [
        ({}, {}),
        ({"a": "owned"}, {"a": {"b": "x", "d": 1}}),
        ({"a": "owned", "a.d": "team"}, {"a": {"b": "x"}}),
        ({"a.*": "default", "a.d": "owned"}, {"a": {"d": 1}}),
        ({"a.c": {"members": "value"}}, {"a": {"c": ["y", "z"]}}),
        ({"a.c": {"members": "requirement"}}, {}),
        ({"a.c": "owned"}, {}),
        ({"a": "members"}, {}),
        ({'"p.q".r': "owned"}, {"p.q": {"r": True}}),
        ({"nowhere": "owned"}, {}),
    ],
)
def test_what_the_rules_leave_to_the_template_is_guarded(
    keys: dict[str, Any], guarded: dict[str, Any], tmp_path: Path
) -> None:
    text = '[a]\nb = "x"\nc = ["y", "z"]\nd = 1\n["p.q"]\nr = true\n'
    assert made(tmp_path, text, keys) == ({"x.toml": guarded} if guarded else {})


@given(st.dictionaries(PATTERNS, RULES, max_size=6), PATHS)
def test_whose_a_key_is_is_what_the_engine_says(keys: dict[str, Any], path: tuple[str, ...]) -> None:
    """A hook cannot import the engine: plain cookiecutter runs it where there is none."""
    of_hook = HOOK["_rule"]({HOOK["_split"](pattern): rule for pattern, rule in keys.items()}, path)
    assert Rules.load({"": of_hook}).at(()) == Rules.load(keys).at(path)


@pytest.mark.parametrize("value", ["false", "0", '""'])
def test_a_value_that_nitpick_would_not_miss_is_refused(value: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"a\.b is .*, which nitpick cannot guard"):
        made(tmp_path, f"[a]\nb = {value}\n", {"a.b": "owned"})


def test_a_file_that_is_not_rendered_is_left_out(tmp_path: Path) -> None:
    configs = [{"path": "no.toml", "format": "toml"}, {"path": ".pre-commit-config.yaml", "format": "yaml"}]
    assert set(tomllib.loads(style(configs, tmp_path))) == {"nitpick"}
