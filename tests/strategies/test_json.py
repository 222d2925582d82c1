"""JSON keeps its bytes: what a merge says is decided elsewhere, how it is written is tested here."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from environments import TEMPLATE
from merges import check_conforming, check_merging
from real_files import check_real, without_one
from twelvefold.strategies.json import FORMAT
from twelvefold.strategies.merging import UnreadableError
from twelvefold.strategies.rules import Rules

RULES = Rules.load({"a": {"members": ["id"]}, "b": {"members": "value"}, "c": "members"})
SCALARS = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x", "é", "😀", '"', "a,\u2028b"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "b", "é"]), inner, max_size=3),
    max_leaves=8,
)
FILES = st.dictionaries(st.sampled_from(["a", "b", "c", "d e"]), VALUES, max_size=4)
INDENTS = st.sampled_from([None, 2, 4, "\t"])


def written(data: Any, indent: Any, ending: str) -> str:
    return (json.dumps(data, indent=indent, ensure_ascii=False) + "\n").replace("\n", ending)


TEXTS = st.builds(written, FILES, INDENTS, st.sampled_from(["\n", "\r\n"]))


@given(TEXTS, TEXTS)
def test_a_text_becomes_any_other(one: str, other: str) -> None:
    check_conforming(FORMAT, one, other, RULES)


@given(TEXTS, TEXTS, TEXTS)
def test_a_merge_says_what_was_decided_and_a_second_one_changes_nothing(base: str, template: str, service: str) -> None:
    check_merging(FORMAT, base, template, service, RULES)


@given(FILES, FILES, INDENTS, st.randoms(use_true_random=False))
def test_what_comes_and_goes_again_leaves_no_trace(data: Any, other: Any, indent: Any, chance: Any) -> None:
    text = written(data, indent, "\n")
    fewer = without_one(data, chance)
    less = FORMAT.conform(text, fewer, [], RULES)
    back = FORMAT.conform(less, data, [text], RULES)
    assert FORMAT.conform(back, fewer, [less], RULES) == less


@pytest.mark.parametrize("text", ["", "{", '{"a": NaN}', '{"a": 1, "a": 1}', '{"a": 1,}', "// no\n{}"])
def test_what_cannot_be_read_says_so(text: str) -> None:
    with pytest.raises(UnreadableError):
        FORMAT.load(text)


@pytest.mark.slow
def test_real_files() -> None:
    """What Python packages in the environment ship; a few of each, since one ships thousands of schemas."""
    packages = (TEMPLATE / ".venv").glob("lib/*/site-packages/*/")
    small = {
        package: [path for path in sorted(package.rglob("*.json")) if path.stat().st_size < 20_000]
        for package in packages
    }
    few = [path for paths in small.values() for path in paths[:5]]
    texts = {str(path): path.read_text(encoding="utf-8") for path in few}
    assert len(texts) >= 15
    for name, text in texts.items():
        check_real(FORMAT, name, text, Rules())
