"""What holds for the merge of any format with data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twelvefold.decisions import Outcome
from twelvefold.strategies.merging import Format, merge_texts
from twelvefold.strategies.rules import Rules
from twelvefold.strategies.three_way import ABSENT, merge, same

DEFAULT = Rules()


def merged(form: Format, base: str | None, template: str, service: str, rules: Rules = DEFAULT) -> str:
    """Merge, and assert that the text says what the data's merge wants and that a second merge changes nothing."""
    result = merge_texts(form, base, template, service, rules)
    assert Outcome.UNREADABLE not in {decision.outcome for decision in result.decisions}, result
    was = ABSENT if base is None else form.load(base)
    wanted, _ = merge(was, form.load(template), form.load(service), rules)
    assert service == base or same(form.load(result.text), wanted)
    assert merge_texts(form, template, template, result.text, rules).text == result.text
    assert merge_texts(form, template, template, service, DEFAULT).text == service
    return result.text


def check_conforming(form: Format, one: str, other: str, rules: Rules) -> None:
    """A text becomes what any other says, with and without texts to learn from."""
    wanted = form.load(other)
    for sources in ([other, one], []):
        assert same(form.load(form.conform(one, wanted, sources, rules)), wanted)


def check_merging(form: Format, base: str, template: str, service: str, rules: Rules) -> None:
    """A merge says what the data's merge decides, and a second one changes nothing."""
    result = merge_texts(form, base, template, service, rules)
    wanted, decisions = merge(form.load(base), form.load(template), form.load(service), rules)
    if service not in (base, template):
        assert result.decisions == decisions
        assert same(form.load(result.text), wanted)
    assert merge_texts(form, template, template, result.text, rules).text == result.text


def conform_there_and_back(form: Format, text: str, more: str) -> None:
    """Take into `text` what only `more` says, and out again."""
    data = form.load(text)
    assert form.conform(text, data, (more, text), DEFAULT) == text
    both = union(data, form.load(more))
    there = form.conform(text, both, (more, text, text), DEFAULT)
    assert same(form.load(there), both)
    assert form.conform(there, data, (text, there, more), DEFAULT) == text


def union(one: Any, other: Any) -> Any:
    """What `one` says, and `other` where `one` says nothing."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return one
    return {**one, **{key: union(one[key], value) if key in one else value for key, value in other.items()}}


def own_comments(base: str, service: str, is_comment: Callable[[str], bool]) -> list[str]:
    """The comment lines that the team wrote."""
    known = {line.strip() for line in base.splitlines()}
    return [line.strip() for line in service.splitlines() if is_comment(line) and line.strip() not in known]
