from __future__ import annotations

import json

import pytest

from twelvefold.decisions import Decision, Outcome, shown_apart

PINS = [f"package-{number}==1.0.{number}" for number in range(40)]


@pytest.mark.parametrize(
    ("yours", "template", "told"),
    [
        ("120", "100", ("120", "100")),
        (None, "100", ("none", "100")),
        ("a\n  b", "a\n  c", ("a b", "a c")),
        ("x" * 90, "y", ("x" * 77 + "...", "y")),
        ("x" * 100 + "1", "x" * 100 + "2", ("..." + "x" * 20 + "1", "..." + "x" * 20 + "2")),
    ],
)
def test_two_values_are_shown_where_they_differ(yours: str | None, template: str | None, told: tuple[str, str]) -> None:
    assert shown_apart(yours, template) == told


@pytest.mark.parametrize("outcome", [Outcome.HEALED, Outcome.KEPT])
def test_a_sentence_about_a_long_list_says_what_is_other_in_it(outcome: Outcome) -> None:
    yours = [pin.replace("1.0.30", "9.9.9") for pin in PINS]
    decision = Decision(outcome, "pyproject.toml", "pins", yours=json.dumps(yours), template=json.dumps(PINS))
    assert "package-30==9.9.9" in decision.sentence
    assert "package-30==1.0.30" in decision.sentence
