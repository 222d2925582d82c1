"""What an outcome means to people and programs."""

from __future__ import annotations

from twelvefold.console import COLOURS
from twelvefold.fleet.outcomes import CODES, KINDS, counted, line
from twelvefold.fleet.page import WORDS
from twelvefold.fleet.results import Result, TurnOutcome


def test_every_outcome_has_a_code_a_colour_and_a_place_on_the_page() -> None:
    assert set(CODES) == set(KINDS) == set(WORDS) == set(TurnOutcome)
    assert set(KINDS.values()) - {"note"} <= set(COLOURS)


def test_the_codes_are_those_of_the_command() -> None:
    """docs/fleet.md: 0 in step or proposed, 1 would change, 2 needs a person, 3 failed."""
    codes: dict[int, set[TurnOutcome]] = {}
    for outcome, code in CODES.items():
        codes.setdefault(code, set()).add(outcome)
    assert codes == {
        0: {TurnOutcome.IN_STEP, TurnOutcome.NONE, TurnOutcome.UNKNOWN, TurnOutcome.PROPOSED},
        1: {TurnOutcome.WOULD_CHANGE},
        2: {TurnOutcome.PERSON},
        3: {TurnOutcome.FAILED},
    }


def test_a_result_is_a_line() -> None:
    result = Result("pay", "u", TurnOutcome.PROPOSED, sentence="2 files.", request="https://forge/1")
    assert line(result) == "pay: proposed. 2 files. https://forge/1"
    assert line(Result("pay", "u", TurnOutcome.IN_STEP)) == "pay: in step."


def test_what_is_counted_reads_well() -> None:
    assert [counted(count, TurnOutcome.PERSON) for count in (1, 2)] == ["1 needs a person", "2 need a person"]
    assert counted(2, TurnOutcome.PROPOSED) == "2 proposed"
