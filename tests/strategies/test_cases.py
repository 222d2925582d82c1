"""Each strategy's cases are data: cases/<format>.yaml, a list of merges with what must come out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from twelvefold.strategies.formats import format_named
from twelvefold.strategies.merging import merge_texts
from twelvefold.strategies.rules import Rules

CASES = Path(__file__).with_name("cases")


def cases() -> list[Any]:
    return [
        pytest.param(file.stem, case, id=f"{file.stem}: {case['name']}")
        for file in sorted(CASES.glob("*.yaml"))
        for case in yaml.safe_load(file.read_text(encoding="utf-8"))
    ]


@pytest.mark.parametrize(("name", "case"), cases())
def test_case(name: str, case: dict[str, Any]) -> None:
    """A case has base (may be absent), template, service, merged; keys (the rules) and the decisions' sentences."""
    form = format_named(name)
    rules = Rules.load(case.get("keys", {}))
    merged = merge_texts(form, case.get("base"), case["template"], case["service"], rules)
    assert merged.text == case.get("merged", case["service"])
    assert [decision.sentence for decision in merged.decisions] == case.get("decisions", [])
    again = merge_texts(form, case["template"], case["template"], merged.text, rules)
    assert again.text == merged.text, "a second rollup changes it again"
