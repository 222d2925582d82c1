"""Ignore files: what comes in, what goes, and what the team's negations keep."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pathspec import PathSpec

import sdists
from twelvefold.strategies.ignore import FORMAT, contradict, key_of
from twelvefold.strategies.merging import MergedText, merge_texts
from twelvefold.strategies.rules import Rules

PROBES = ["a", "b", "keep.log", "x.log", "dist", "dist/keep", "docs/a.log", "a.txt"]
PATTERNS = ["a", "b", "*.log", "dist/", "dist/*", "docs/*.log", "/a", "*.txt", "*", "k*.log", "**/keep"]
NEGATIONS = [f"!{probe}" for probe in PROBES] + ["!*.log", "!dist/"]


def texts(patterns: list[str]) -> st.SearchStrategy[str]:
    lines = st.lists(st.sampled_from([*patterns, "", "# one", "# two"]), max_size=7)
    return st.builds(lambda some, end: "\n".join(some) + (end if some else ""), lines, st.sampled_from(["", "\n"]))


def merged(base: str | None, template: str, service: str) -> MergedText:
    return merge_texts(FORMAT, base, template, service, Rules())


def patterns(text: str) -> list[str]:
    return [key for key in map(key_of, text.split("\n")) if key and not key.startswith("#")]


@given(texts(PATTERNS + NEGATIONS), texts(PATTERNS + NEGATIONS), texts(PATTERNS + NEGATIONS))
def test_members_are_the_template_s_new_ones_and_the_team_s(base: str, template: str, service: str) -> None:
    result = patterns(merged(base, template, service).text)
    was, theirs, ours = map(patterns, (base, template, service))
    assert set(theirs) - set(was) <= set(result)
    assert set(ours) - set(was) <= set(result)
    if service != base:
        assert set(result) <= set(theirs) | set(ours)
        assert all(result.count(one) <= max(0, ours.count(one) - was.count(one)) for one in set(was) - set(theirs))


@given(texts(PATTERNS), texts(PATTERNS), texts(PATTERNS + NEGATIONS))
def test_the_team_s_lines_keep_their_order(base: str, template: str, service: str) -> None:
    result = patterns(merged(base, template, service).text)
    known = {*patterns(base), *patterns(template)}
    assert [one for one in result if one not in known] == [one for one in patterns(service) if one not in known]


@given(texts(PATTERNS + NEGATIONS), texts(PATTERNS + NEGATIONS), texts(PATTERNS + NEGATIONS))
def test_a_second_merge_changes_nothing(base: str, template: str, service: str) -> None:
    once = merged(base, template, service).text
    again, unchanged = merged(template, template, once), merged(base, base, service)
    assert (again.text, list(again.decisions)) == (once, [])
    assert (unchanged.text, list(unchanged.decisions)) == (service, [])


@given(texts(PATTERNS), texts(PATTERNS), texts(PATTERNS), st.lists(st.sampled_from(NEGATIONS), max_size=3), st.data())
def test_what_the_team_negated_stays_negated(
    base: str, template: str, service: str, negations: list[str], data: st.DataObject
) -> None:
    lines = service.split("\n")
    for negation in negations:
        lines.insert(data.draw(st.integers(0, len(lines))), negation)
    service = "\n".join(lines)
    result = merged(base, template, service)
    if service == base or result.decisions:
        return
    for probe in PROBES:
        if _negated_by(service, probe) in negations:
            assert not PathSpec.from_lines("gitignore", result.text.splitlines()).match_file(probe), result.text


def _negated_by(text: str, probe: str) -> str:
    """The pattern that decides about `probe`, as far as it is the last one that fits."""
    fitting = [
        one for one in patterns(text) if PathSpec.from_lines("gitignore", [one.removeprefix("!")]).match_file(probe)
    ]
    return fitting[-1] if fitting else ""


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("*.log", "!keep.log", True),
        ("!keep.log", "*.log", True),
        ("*.log", "*.log", False),
        (".tox/", "!keep.log", False),
        ("build/*", "!keep.log", True),
        ("dist", "!dist/keep", True),
        ("/a", "!b/a", False),
        ("doc?/**", "!docs/x/y", True),
        ("src/gen/*.o", "!src", True),
        ("**/keep", "!dist", True),
        ("[ab].txt", "!b.txt", True),
        ("/", "!", False),
    ],
)
def test_patterns_contradict(one: str, other: str, expected: bool) -> None:
    assert contradict(one, other) is expected


@pytest.mark.slow
def test_real_files() -> None:
    files = [text for _, text in sdists.texts("*/.gitignore", "*/.dockerignore")]
    assert len(files) >= 5
    for service in files:
        for template in files:
            adopted = merged(None, template, service).text
            assert set(patterns(adopted)) == {*patterns(template), *patterns(service)}
            assert merged(template, template, adopted).text == adopted
            back = merged(template, "", adopted).text
            dropped = Counter(patterns(template))
            assert set(patterns(back)) == {one for one in patterns(adopted) if one not in dropped}
