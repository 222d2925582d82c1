"""Whose a key is."""

from __future__ import annotations

from itertools import permutations

import pytest

from twelvefold.strategies.rules import Kind, Rules

PATTERNS = {"*.*": "owned", "tool.*": "team", "*.ruff": "default", "tool.ruff": "members"}


@pytest.mark.parametrize("order", [*permutations(PATTERNS)])
def test_the_most_particular_pattern_decides_wherever_it_stands(order: tuple[str, ...]) -> None:
    rules = Rules.load({pattern: PATTERNS[pattern] for pattern in order})
    assert rules.at(("tool", "ruff")).kind is Kind.MEMBERS
    assert rules.at(("tool", "mypy")).kind is Kind.TEAM
    assert rules.at(("other", "ruff")).kind is Kind.DEFAULT
    assert rules.at(("other", "mypy")).kind is Kind.OWNED


def test_a_key_without_a_pattern_follows_the_nearest_one_above() -> None:
    rules = Rules.load({"a": "owned", "a.b.c": "team", "d": "members"})
    assert rules.at(("a", "b")).kind is Kind.OWNED
    assert rules.at(("a", "b", "c", "d")).kind is Kind.TEAM
    assert rules.at(("d", "member")).kind is Kind.DEFAULT
    assert rules.at(("other",)).kind is Kind.DEFAULT
