"""Any text, merged line by line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import sdists
from twelvefold.decisions import Outcome
from twelvefold.strategies.merging import merge_texts
from twelvefold.strategies.rules import Rules
from twelvefold.strategies.text import FORMAT, merge_lines

LINES = st.lists(st.sampled_from(["a", "b", "\tc", "", "d\x0c", "e\u2028f"]), max_size=6)
TEXTS = st.builds(lambda lines, end: "\n".join(lines) + end, LINES, st.sampled_from(["", "\n"]))


@given(TEXTS, TEXTS)
def test_a_template_that_did_not_change_changes_nothing(base: str, service: str) -> None:
    assert merge_lines(base, base, service).text == service


@given(TEXTS, TEXTS)
def test_a_service_without_edits_becomes_the_template(base: str, template: str) -> None:
    merged = merge_lines(base, template, base)
    assert (merged.text, merged.decisions) == (template, [])


@given(TEXTS, TEXTS, TEXTS)
def test_no_line_comes_from_nowhere_and_a_second_merge_changes_nothing(base: str, template: str, service: str) -> None:
    merged = merge_lines(base, template, service)
    assert set(merged.text.split("\n")) <= {*template.split("\n"), *service.split("\n"), ""}
    assert merge_lines(template, template, merged.text).text == merged.text


@given(TEXTS, TEXTS, TEXTS)
def test_the_line_ends_do_not_matter_to_the_merge(base: str, template: str, service: str) -> None:
    windows = service.replace("\n", "\r\n")
    merged = merge_lines(base, template, windows).text
    if "\n" in service:
        assert merged == merge_lines(base, template, service).text.replace("\n", "\r\n")


@given(TEXTS, TEXTS)
def test_without_a_base_nothing_is_touched_and_all_is_said(template: str, service: str) -> None:
    merged = merge_texts(FORMAT, None, template, service, Rules())
    assert merged.text == service
    said = [(one.outcome, one.yours, one.template) for one in merged.decisions]
    assert said == ([] if template == service else [(Outcome.CONFLICT, service, template)])


@pytest.mark.slow
def test_real_files() -> None:
    files = sdists.texts("*/Makefile", "*/Dockerfile", "*.rst", "*.sh", "*.txt", "*.py")
    assert len(files) >= 30
    for _, text in files:
        ours, theirs = f"# ours\n{text}", f"{text}# theirs\n" if text.endswith("\n") else f"{text}\n# theirs\n"
        merged = merge_lines(text, theirs, ours)
        if text.count("\n") > 1:
            assert merged.decisions == []
            assert merged.text == f"# ours\n{theirs}"
