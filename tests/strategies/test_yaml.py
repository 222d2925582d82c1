"""YAML keeps its bytes: what a merge says is decided elsewhere, how it is written is tested here."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merges import check_conforming, check_merging
from real_files import check_real, real_files, without_one
from twelvefold.strategies.merging import UnreadableError, merge_texts
from twelvefold.strategies.rules import Rules
from twelvefold.strategies.three_way import merge, same
from twelvefold.strategies.yaml import FORMAT

RULES = Rules.load(
    {"jobs": "members", "jobs.*.steps": {"members": ["id", "name", "uses"]}, "stages": {"members": "value"}}
)
REAL_RULES = Rules.load(
    {
        "repos": {"members": ["repo"]},
        "repos.*.hooks": {"members": ["id"]},
        "jobs": "members",
        "jobs.*.steps": {"members": ["id", "name", "uses"]},
    }
)
WORDS = st.sampled_from(["x", "make", "3.10", "on", "a b", "é", "- x", "#", "", "a: b", "two\nlines\n", "null"])
SCALARS = WORDS | st.booleans() | st.none() | st.integers(0, 3)
STEPS = st.lists(
    st.fixed_dictionaries({"id": st.sampled_from("abcde")}, optional={"run": SCALARS, "env": st.lists(SCALARS)}),
    unique_by=lambda step: str(step["id"]),
    max_size=4,
)
JOBS = st.fixed_dictionaries({}, optional={"steps": STEPS, "image": SCALARS, "needs": st.lists(WORDS, max_size=3)})
FILES = st.fixed_dictionaries(
    {},
    optional={
        "on": st.lists(WORDS, max_size=2),
        "stages": st.lists(st.sampled_from("abcdef"), unique=True, max_size=5),
        "jobs": st.dictionaries(st.sampled_from(["lint", "test", "build"]), JOBS, max_size=3),
        "team": st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2),
    },
)


class Writer:
    """Writes data in the ways that people do."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self.indented = self.random.random() < 0.5
        self.comments = self.random.choice([0, 0.3])
        self.ending = self.random.choice(["\n", "\n", "\r\n"])
        self.count = 0

    def text(self, data: dict[str, Any]) -> str:
        lines = self.mapping(data, 0) if data else []
        last = "" if self.random.random() < 0.2 else self.ending
        return self.ending.join(lines) + (last if lines else "")

    def comment(self) -> str:
        if self.random.random() >= self.comments:
            return ""
        self.count += 1
        return f"# comment {self.count}"

    def lines(self, head: str, value: Any, column: int) -> list[str]:
        above, behind = self.comment(), self.comment()
        lines = [""] * (self.random.random() < 0.1) + [" " * column + above] * bool(above)
        tail = f"  {behind}" if behind else ""
        if isinstance(value, dict | list) and value and self.random.random() < 0.8:
            inner = self.mapping(value, column + 2) if isinstance(value, dict) else self.list_(value, column, head)
            if head == "-" and not tail and inner[0].strip() and not inner[0].strip().startswith("#"):
                return [*lines, " " * column + "- " + inner[0][column + 2 :], *inner[1:]]
            return [*lines, " " * column + head + tail, *inner]
        if isinstance(value, str) and value.endswith("\n") and self.random.random() < 0.7:
            return [
                *lines,
                " " * column + head + " |" + tail,
                *(" " * (column + 2) + one for one in value.splitlines()),
            ]
        return [*lines, f"{' ' * column}{head} {self.flow(value)}".rstrip() + tail]

    def flow(self, value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key}: {self.flow(one)}" for key, one in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(self.flow, value)) + "]"
        if isinstance(value, str):
            if value.isalpha() and value not in {"on", "null"} and self.random.random() < 0.7:
                return value
            return '"' + value.replace("\n", "\\n") + '"'
        return json.dumps(value)

    def mapping(self, data: dict[str, Any], column: int) -> list[str]:
        return [line for key, value in data.items() for line in self.lines(f"{key}:", value, column)]

    def list_(self, data: list[Any], column: int, head: str) -> list[str]:
        inner = column + 2 if self.indented or head == "-" else column
        return [line for value in data for line in self.lines("-", value, inner)]


TEXTS = st.builds(lambda data, seed: Writer(seed).text(data), FILES, st.integers(0, 2**32))


@given(FILES, st.integers(0, 2**32))
def test_it_says_what_was_written(data: dict[str, Any], seed: int) -> None:
    assert same(FORMAT.load(Writer(seed).text(data)), data)


@given(TEXTS, TEXTS)
def test_a_text_becomes_any_other(one: str, other: str) -> None:
    check_conforming(FORMAT, one, other, RULES)


@given(TEXTS, TEXTS, TEXTS)
def test_a_merge_says_what_was_decided_and_a_second_one_changes_nothing(base: str, template: str, service: str) -> None:
    check_merging(FORMAT, base, template, service, RULES)


@given(TEXTS, TEXTS)
def test_a_template_that_did_not_change_changes_nothing(template: str, service: str) -> None:
    if not merge(FORMAT.load(template), FORMAT.load(template), FORMAT.load(service), RULES)[1]:
        assert merge_texts(FORMAT, template, template, service, RULES).text == service


@given(TEXTS, st.integers(0, 2**32))
def test_what_comes_and_goes_again_leaves_no_trace(text: str, seed: int) -> None:
    data = FORMAT.load(text)
    fewer = without_one(data, random.Random(seed))  # noqa: S311
    less = FORMAT.conform(text, fewer, [], RULES)
    back = FORMAT.conform(less, data, [text, less], RULES)
    assert FORMAT.conform(back, fewer, [less, text], RULES) == less


@given(TEXTS, TEXTS)
def test_the_teams_comments_survive_what_the_template_adds(template: str, service: str) -> None:
    service = service.replace("# comment", "# ours")
    wanted, _ = merge({}, FORMAT.load(template), FORMAT.load(service), RULES)
    merged = merge_texts(FORMAT, "", template, service, RULES)
    assert same(FORMAT.load(merged.text), wanted)
    assert set(re.findall(r"# ours \d+", service)) <= set(re.findall(r"# ours \d+", merged.text))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a: [1", "line 2"),
        ("a: *b", "The anchor &b is missing."),
        ("? [a]\n: 1", "a key that is not text in line 1"),
        ("a: 1\na: 2", "the key a again in line 2"),
        ("a: \x07", "It is not YAML"),
    ],
)
def test_what_cannot_be_read_says_why(text: str, sentence: str) -> None:
    with pytest.raises(UnreadableError, match=re.escape(sentence)):
        FORMAT.load(text)


@pytest.mark.slow  # fetches source distributions
def test_real_files() -> None:
    texts = real_files("*.yaml", "*.yml")
    assert len(texts) >= 30
    for name, text in texts.items():
        check_real(FORMAT, name, text, REAL_RULES)
