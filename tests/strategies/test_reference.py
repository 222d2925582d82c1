"""Each format against a merge of lines by git: where that is clean, both say the same."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from commands import run
from twelvefold.strategies.formats import format_named
from twelvefold.strategies.merging import Format, merge_texts
from twelvefold.strategies.rules import Rules
from twelvefold.strategies.three_way import same

KEYS = [(table, key) for table in ("alpha", "beta", "gamma") for key in ("one", "two", "three", "four", "five")]


class Written(NamedTuple):
    """How a format writes tables of keys, each key with something above it that nobody edits."""

    heading: str
    above: str
    key: str
    footing: str = ""
    begin: str = ""
    end: str = ""


FORMS = {
    "toml": Written("[{}]\n", "# About {}.\n", '{} = "{}"\n'),
    "yaml": Written("{}:\n", "  # About {}.\n", '  {}: "{}"\n'),
    "env": Written("# {}\n", "# About {}.\n", "{}={}\n"),
    "json": Written('"{}": {{\n', '"about_{}": 0,\n', '"{}": "{}",\n', '"last": 0\n},\n', "{\n", '"last": 0\n}\n'),
}
Edits = dict[int, str]  # the number of a key → what becomes of it
edits = st.dictionaries(st.integers(0, len(KEYS) - 1), st.sampled_from(["change", "delete", "add"]), max_size=2)


def written(form: str, edits: Edits, who: str) -> str:
    """A file as `who` edited it; two edits leave no table empty."""
    how = FORMS[form]
    text = how.begin
    for number, (table, key) in enumerate(KEYS):
        name, edit = f"{table}_{key}".upper(), edits.get(number, "")
        text += how.heading.format(table) if key == "one" else ""
        text += how.above.format(name)
        text += "" if edit == "delete" else how.key.format(name, who if edit == "change" else "base")
        text += how.key.format(f"{name}_of_{who}", who) if edit == "add" else ""
        text += how.footing if key == "five" else ""
    return text + how.end


def merged_by_git(base: str, template: str, service: str) -> str | None:
    """What `git merge-file` makes of the three; None where it finds a conflict."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in {"service": service, "base": base, "template": template}.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        done = run("git", "merge-file", "-p", "service", "base", "template", cwd=Path(folder))
    return done.stdout if done.returncode == 0 else None


@pytest.mark.parametrize("form", FORMS)
@given(edits, edits)
def test_where_git_s_merge_is_clean_ours_says_the_same(form: str, theirs: Edits, ours: Edits) -> None:
    base, template, service = written(form, {}, ""), written(form, theirs, "template"), written(form, ours, "service")
    reference = merged_by_git(base, template, service)
    assume(reference is not None)
    assert reference is not None
    strategy = format_named(form)
    assert isinstance(strategy, Format)
    merged = merge_texts(strategy, base, template, service, Rules())
    assert same(strategy.load(merged.text), strategy.load(reference))
    assert not merged.decisions


def test_the_reference_merges_and_finds_conflicts() -> None:
    base, template = written("toml", {}, ""), written("toml", {2: "change", 9: "delete"}, "template")
    assert merged_by_git(base, template, written("toml", {5: "add", 9: "change"}, "service")) is None
    clean = merged_by_git(base, template, written("toml", {5: "add"}, "service"))
    assert clean is not None
    assert '\nALPHA_THREE = "template"\n' in clean
    assert '\nBETA_ONE_of_service = "service"\n' in clean
