"""Environment files: generated ones, the template's own, and those of real systems."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import merges
import sdists
from twelvefold.strategies.env import FORMAT, is_comment
from twelvefold.strategies.merging import UnreadableError
from twelvefold.strategies.three_way import same

ROOT = Path(__file__).parents[2]
TEMPLATE_S = (ROOT / "<<cookiecutter.project_slug>>" / ".env.example").read_text(encoding="utf-8")
EXAMPLE = "".join(line for line in TEMPLATE_S.splitlines(keepends=True) if not line.startswith("<%"))
VALUES = ["", "1", "2 # why", "'a b'", '"x # y"  # why', '"one\ntwo"', "#3", "\\#4", '{"a": ["b"]}', "it's", " spaced "]


@st.composite
def texts(draw: st.DrawFn, who: str = "") -> str:
    """An environment file; `who` is in its comments."""
    lines = [
        draw(st.sampled_from(["", "", "\n", f"# {who}1\n", f"\n# {who}2\n", f"# {who}3\n\n"]))
        + draw(st.sampled_from(["", "#", "#", "export "]))
        + draw(st.sampled_from(["A", "B_1", "c", "D"]))
        + draw(st.sampled_from(["=" + value for value in VALUES[:-2]] + ["=" + VALUES[-2]]))
        for _ in range(draw(st.integers(0, 4)))
    ]
    lines = [line.split("\n")[0] if line.lstrip("\n").startswith("#") and "two" in line else line for line in lines]
    text = "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n", "\n# end\n"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"])))


def readable(*files: str) -> bool:
    try:
        return all(FORMAT.load(text) is not None for text in files)
    except UnreadableError:
        return False


@given(texts(), texts(), texts())
def test_merges_say_what_the_data_s_merge_wants(base: str, template: str, service: str) -> None:
    assume(readable(base, template, service))
    merges.merged(FORMAT, base, template, service)
    merges.merged(FORMAT, None, template, service)


@given(texts(), texts(), texts("our"))
def test_the_team_s_comments_survive(base: str, template: str, service: str) -> None:
    assume(readable(base, template, service))
    text = merges.merged(FORMAT, base, template, service)
    kept = [line.strip() for line in text.splitlines()]
    ours = merges.own_comments(base, service, is_comment)
    assert service == base or all(ours.count(line) == kept.count(line) for line in ours if "our" in line)


@given(texts(), texts())
def test_there_and_back(text: str, more: str) -> None:
    assume(readable(text, more))
    merges.conform_there_and_back(FORMAT, text, more)


def test_the_template_s_own_file() -> None:
    data = FORMAT.load(EXAMPLE)
    assert data["APP_PORT"] == "#8000"
    service = EXAMPLE.replace("#APP_PORT=8000", "APP_PORT=9000") + "\n# Ours.\nOUR_KEY=\n"
    template = EXAMPLE.replace("# The port to listen on; 0 takes a free one.\n#APP_PORT=8000\n", "").replace(
        "#APP_DOCS", "# New.\n#APP_NEW=1\n# Serve\n#APP_DOCS"
    )
    text = merges.merged(FORMAT, EXAMPLE, template, service)
    assert FORMAT.load(text) == {**FORMAT.load(template), "APP_PORT": "9000", "OUR_KEY": ""}
    assert "# New.\n#APP_NEW=1\n" in text
    assert "# Ours.\nOUR_KEY=\n" in text


@pytest.mark.slow
def test_real_files() -> None:
    files = [("template", EXAMPLE), *sdists.texts("*/.env", "*/.env.*", "*/*.env")]
    files += [
        (str(path), path.read_text()) for path in map(Path, ["/etc/os-release", "/etc/environment"]) if path.exists()
    ]
    for path, text in files:
        chance = random.Random(path)  # noqa: S311 - a reproducible choice
        assert FORMAT.conform(text, FORMAT.load(text), (text, text), merges.DEFAULT) == text
        for _ in range(20):
            merges.merged(FORMAT, text, _mutated(text, chance, "theirs"), _mutated(text, chance, "ours"))


def _mutated(text: str, chance: random.Random, who: str) -> str:
    data = dict(FORMAT.load(text))
    for _ in range(4):
        name = chance.choice([*data, who])
        if chance.random() < 0.3:
            data.pop(name, None)
        else:
            data[name] = chance.choice(["#1", "2", '"a\nb"', ""])
    result = FORMAT.conform(text, data, (text,), merges.DEFAULT)
    assert same(FORMAT.load(result), data)
    return result
