"""INI files: generated ones, and those of real projects."""

from __future__ import annotations

import configparser
import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import merges
import sdists
from twelvefold.strategies.ini import FORMAT, is_comment
from twelvefold.strategies.merging import UnreadableError
from twelvefold.strategies.three_way import same

VALUES = [" = 1", "=2", ": %(x)s", " = 50%", "", " =", " =\n  one\n  two", " = a\n\n    b", " =\n  one\n  # in\n  two"]
KEYS = ["a", "B", "b", "c d", "e"]


@st.composite
def texts(draw: st.DrawFn, who: str = "") -> str:
    """An INI file; `who` is in its comments."""
    parts = []
    for name in draw(st.lists(st.sampled_from(["x", "y", "DEFAULT", "z:1"]), unique=True, max_size=3)):
        parts.append(_comments(draw, who) + f"[{name}]")
        for key in draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=4)):
            parts.append(_comments(draw, who) + key + draw(st.sampled_from(VALUES)))
    text = "".join(f"{part}\n" for part in parts) + draw(st.sampled_from(["", "\n", "# end\n"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"])))


def _comments(draw: st.DrawFn, who: str) -> str:
    return draw(st.sampled_from(["", "", "\n", f"# {who}1\n", f"\n; {who}2\n", f"# {who}3\n\n"]))


@given(texts(), texts(), texts())
def test_merges_say_what_the_data_s_merge_wants(base: str, template: str, service: str) -> None:
    merges.merged(FORMAT, base, template, service)
    merges.merged(FORMAT, None, template, service)


@given(texts(), texts(), texts("our"))
def test_the_team_s_comments_survive(base: str, template: str, service: str) -> None:
    text = merges.merged(FORMAT, base, template, service)
    kept = [line.strip() for line in text.splitlines()]
    ours = merges.own_comments(base, service, is_comment)
    assert service == base or all(ours.count(line) == kept.count(line) for line in ours if "our" in line)


@given(texts(), texts())
def test_there_and_back(text: str, more: str) -> None:
    assume("\r" not in more)
    merges.conform_there_and_back(FORMAT, text, more)


@given(
    st.lists(st.sampled_from(["[a]", "[b] c", " [c]", "x=1", "  y", "\tz: 2", "", " ", "#c", " ;c", "=", "v", "x\r"]))
)
def test_reads_what_configparser_reads(lines: list[str]) -> None:
    text = "\n".join(lines)
    parser = configparser.RawConfigParser(allow_no_value=True, default_section="")
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(text)
    except (configparser.Error, AttributeError):
        with pytest.raises(UnreadableError, match=r"^(line \d+: |a key without a value).*\.$"):
            FORMAT.load(text)
    else:
        assert FORMAT.load(text) == {name: dict(parser.items(name)) for name in parser.sections()}


@pytest.mark.slow
def test_real_files() -> None:
    found = sdists.texts("*/setup.cfg", "*.ini", "*/.coveragerc", "*/.flake8")
    files = [(path, text) for path, text in found if FORMAT.load(text)]
    assert len(files) >= 30
    for path, text in files:
        chance = random.Random(path)  # noqa: S311 - a reproducible choice
        data = FORMAT.load(text)
        assert FORMAT.conform(text, data, (text, text), merges.DEFAULT) == text
        for _ in range(5):
            merges.merged(FORMAT, text, _mutated(text, chance, "theirs"), _mutated(text, chance, "ours"))
        merges.conform_there_and_back(FORMAT, _without_some(text, chance), text)


def _mutated(text: str, chance: random.Random, who: str) -> str:
    data = {name: dict(keys) for name, keys in FORMAT.load(text).items()}
    for _ in range(3):
        name = chance.choice(list(data))
        key = chance.choice([*data[name], who])
        action = chance.choice(["change", "remove", "add"])
        if action == "remove" and len(data[name]) > 1:
            data[name].pop(key, None)
        elif action == "change":
            data[name][key] = chance.choice(["1", "one\ntwo", "", None, f"\n{who}"])
        else:
            data.setdefault(f"of {who}", {})[who] = "x"
    result = FORMAT.conform(text, data, (text,), merges.DEFAULT)
    assert same(FORMAT.load(result), data)
    return result


def _without_some(text: str, chance: random.Random) -> str:
    data = {name: dict(keys) for name, keys in FORMAT.load(text).items()}
    for name in chance.sample(list(data), len(data) // 2):
        del data[name]
    return FORMAT.conform(text, data, (text, text), merges.DEFAULT)
