"""The table of `fleet status`."""

from __future__ import annotations

from twelvefold.fleet.listing import Listed
from twelvefold.fleet.results import Result, TurnOutcome
from twelvefold.fleet.standing import cells, data, table


def test_columns_are_as_wide_as_what_is_in_them() -> None:
    asked = Result("a-long-name", "u", TurnOutcome.PROPOSED, "2 files.", version="0.1.0", request="https://forge/1")
    failed = Result("b", "u", TurnOutcome.FAILED, "No such host.", version="0.10.0", drift=("Makefile",) * 12)
    known = {"a-long-name": asked, "b": failed, "c": None}
    rows = [cells(Listed(name, name, "u"), result) for name, result in known.items()]
    assert [*table(rows)] == [
        ("title", "service      version  state              drift"),
        ("added", "a-long-name  0.1.0    proposed                  https://forge/1"),
        ("deleted", "b            0.10.0   failed             12     No such host."),
        ("note", "c            ?        not looked at yet"),
    ]


def test_data_has_the_same_fields_whether_a_service_was_looked_at_or_not() -> None:
    one = Listed("a-1", "a", "https://forge/a.git")
    unknown, known = data(one, None), data(one, Result("a", one.url, TurnOutcome.IN_STEP))
    assert unknown.keys() == known.keys()
    assert (unknown["key"], unknown["outcome"], known["outcome"]) == ("a-1", "not looked at", "in step")
