"""The merge of data, key by key."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twelvefold.strategies.rules import Rules
from twelvefold.strategies.three_way import ABSENT, identities, merge, same

SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "a", "b"])
DATA = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4)
)
MAPPINGS = st.dictionaries(st.sampled_from("abcd"), DATA, max_size=4)
RULES = st.dictionaries(
    st.sampled_from(["", "a", "a.b", "*.c", "a.*.b", "d"]),
    st.sampled_from(["owned", "team", "default", {"members": "value"}, "members"]),
).map(Rules.load)


def merged(base: Any, template: Any, service: Any, **keys: Any) -> tuple[Any, list[str]]:
    result, decisions = merge(base, template, service, Rules.load(keys))
    return result, [decision.sentence for decision in decisions]


@given(MAPPINGS, MAPPINGS, MAPPINGS, RULES)
def test_a_second_merge_changes_nothing(base: Any, template: Any, service: Any, rules: Rules) -> None:
    once, _ = merge(base, template, service, rules)
    again, decisions = merge(template, template, once, rules)
    assert same(again, once)
    assert decisions == []


@given(MAPPINGS, MAPPINGS, RULES)
def test_a_service_without_edits_becomes_the_template(base: Any, template: Any, rules: Rules) -> None:
    result, decisions = merge(base, template, base, rules)
    assert decisions == []
    assert same(result, template) or "team" in {rule.kind for rule in rules.patterns.values()}


@given(MAPPINGS, MAPPINGS)
def test_a_template_that_did_not_change_changes_nothing(base: Any, service: Any) -> None:
    assert merge(base, base, service, Rules()) == (service, [])


@given(MAPPINGS, MAPPINGS, MAPPINGS, RULES)
def test_what_the_template_owns_is_the_template_s(base: Any, template: Any, service: Any, rules: Rules) -> None:
    result, _ = merge(base, template, service, Rules({**rules.patterns, ("a",): Rules.load({"": "owned"}).at(())}))
    assert same(result.get("a", ABSENT) if result is not ABSENT else ABSENT, template.get("a", ABSENT))


@given(
    st.lists(st.sampled_from("abcdef"), unique=True),
    st.lists(st.sampled_from("abcdef"), unique=True),
    st.lists(st.sampled_from("abcdefxyz"), unique=True),
)
def test_members_are_the_template_s_and_the_team_s(base: list[str], template: list[str], service: list[str]) -> None:
    result, _ = merge(base, template, service, Rules.load({"": {"members": "value"}}))
    assert set(result) == set(template) | (set(service) - set(base))
    assert [one for one in result if one in service] == [one for one in service if one in result]


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), ("1", 1), ([], {}), (ABSENT, None)])
def test_types_count(one: Any, other: Any) -> None:
    assert not same(one, other)


def test_what_only_one_changed_is_taken_from_it() -> None:
    assert merged({"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 3}) == ({"a": 2, "b": 3}, [])


def test_what_both_changed_stays_the_team_s_and_is_said() -> None:
    assert merged({"line": 80}, {"line": 100}, {"line": 120}) == (
        {"line": 120},
        ["kept yours: line = 120 (template: 100)"],
    )


def test_a_key_that_the_template_dropped_goes_unless_the_team_changed_it() -> None:
    assert merged({"a": 1, "b": 1}, {}, {"a": 1, "b": 2}) == (
        {"b": 2},
        ["kept yours: b = 2 (template: has it no more)"],
    )


@pytest.mark.parametrize(("ours", "left"), [(["a"], {}), (["a", "mine"], {"k": ["mine"]}), (["mine"], {"k": ["mine"]})])
def test_of_a_list_that_the_template_dropped_the_team_s_members_stay(ours: list[str], left: dict[str, Any]) -> None:
    assert merged({"k": ["a", "b"]}, {}, {"k": ours}, k={"members": "value"}) == (left, [])


def test_a_list_that_the_team_emptied_stays_when_the_template_drops_it_and_is_said() -> None:
    result, said = merged({"k": ["a"]}, {}, {"k": []}, k={"members": "value"})
    assert (result, len(said)) == ({"k": []}, 1)


def test_a_deleted_member_comes_back_and_a_deleted_default_does_not() -> None:
    both = {"kept": {"x": 1}, "jobs": {"lint": {"run": "ruff"}}}
    assert merged(both, both, {}, jobs="members") == (
        {"jobs": {"lint": {"run": "ruff"}}},
        ["put back: jobs.lint, which the template needs and you had deleted"],
    )


def test_a_deleted_member_comes_back_whole_and_is_said_once() -> None:
    base = {"jobs": {"lint": {"on": "x", "steps": ["a"]}}}
    template = {"jobs": {"lint": {"on": "y", "steps": ["a", "b"]}}}
    keys = {"jobs": "members", "jobs.*.steps": {"members": "value"}}
    assert merged(base, template, {"jobs": {}}, **keys) == (
        template,
        ["put back: jobs.lint, which the template needs and you had deleted"],
    )


def test_requirements_are_known_by_their_normalised_name() -> None:
    lists = ["Foo.Bar>=1", "x; python_version<'3.12'"], ["foo_bar[extra]", "x; python_version<'3.12'", "x>2"]
    one, other = identities(("requirement",), *lists)
    assert list(one) == ["foo-bar", 'x (;python_version < "3.12")']
    assert list(other) == ["foo-bar", 'x (;python_version < "3.12")', "x (;)"]
