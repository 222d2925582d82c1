"""Managed blocks in Markdown."""

from __future__ import annotations

from importlib.metadata import distributions

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import merges
import sdists
from twelvefold.decisions import Outcome
from twelvefold.strategies.markdown import FORMAT, MARKER
from twelvefold.strategies.merging import UnreadableError, merge_texts

OUTSIDE = [
    "",
    "Text.",
    "- item",
    "  more",
    "```py",
    "```",
    "~~~",
    "    code",
    "- ```",
    "  ```",
    "> ```",
    "1. ~~~~",
    "   ~~~~",
]
INSIDE = st.lists(st.sampled_from(["text", "", "```\n<!-- twelvefold:end a -->\n```"]), max_size=2)


@st.composite
def texts(draw: st.DrawFn) -> str:
    parts = []
    for name in draw(st.lists(st.sampled_from("abc"), unique=True)):
        parts += draw(st.lists(st.sampled_from(["", "Text.", "# Title", "- item"]), max_size=2))
        parts += [f"<!-- twelvefold:begin {name} -->", *draw(INSIDE), f"<!-- twelvefold:end {name} -->"]
    parts += draw(st.lists(st.sampled_from(["", "The end."]), max_size=2))
    text = "\n".join(parts) + draw(st.sampled_from(["", "\n"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\n", "\r\n"])))


@given(texts(), texts(), texts())
def test_inside_is_the_template_s_and_outside_the_team_s(base: str, template: str, service: str) -> None:
    assume(service not in (base, template))
    merged = merge_texts(FORMAT, base, template, service, merges.DEFAULT)
    was, theirs, ours, now = map(FORMAT.load, (base, template, service, merged.text))
    assert all(now[name] == text for name, text in theirs.items() if name in now)
    assert set(theirs) - set(now) == {name for name in theirs if name in was and name not in ours}
    assert set(now) - set(theirs) == {name for name in ours if name not in theirs and was.get(name) != ours[name]}
    assert _words(merged.text) == _words(service)
    again = merge_texts(FORMAT, template, template, merged.text, merges.DEFAULT)
    assert again.text == merged.text
    assert {one.outcome for one in again.decisions} <= {Outcome.KEPT}


def _words(text: str) -> list[str]:
    """What stands outside of the blocks, without blank lines."""
    blocks = FORMAT.load(text)
    outside = FORMAT.conform(text, {}, (), merges.DEFAULT) if blocks else text
    return [line for line in outside.splitlines() if line.strip()]


@given(texts(), texts())
def test_there_and_back(text: str, more: str) -> None:
    merges.conform_there_and_back(FORMAT, text, more)


@given(st.lists(st.sampled_from([*OUTSIDE, "<!-- twelvefold:begin a -->"]), max_size=8))
def test_markers_are_where_markdown_has_html(lines: list[str]) -> None:
    lines = [*lines, "<!-- twelvefold:nonsense -->"]
    html = [
        token.map[0]
        for token in MarkdownIt().parse("\n".join(lines))
        if token.type == "html_block" and token.map and token.level == 0
    ]
    fenced = {
        number
        for token in MarkdownIt().parse("\n".join(lines))
        if token.type == "fence" and token.map
        for number in range(*token.map)
    }
    marked = [number for number, line in enumerate(lines) if MARKER.match(line) and number not in fenced]
    assert set(html) <= set(marked)
    try:
        FORMAT.load("\n".join(lines))
        found = False
    except UnreadableError:
        found = True
    assert found == bool(marked)


@pytest.mark.slow
def test_real_files() -> None:
    files = [text for _, text in sdists.texts("*.md")] + [
        one.read_text("METADATA") or ""
        for one in distributions()
        if str(one.metadata["Description-Content-Type"]).startswith("text/markdown")
    ]
    block = "<!-- twelvefold:begin x -->\ntext\n<!-- twelvefold:end x -->\n"
    assert len(files) >= 30
    for text in files:
        assert FORMAT.load(text) == {}
        merges.conform_there_and_back(FORMAT, text, block)
        assert FORMAT.load(merge_texts(FORMAT, "", block, text, merges.DEFAULT).text) == FORMAT.load(block)
