"""The page of the twelve factors says what the tests do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import factors

FACTORS = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII"]


def test_the_page_is_up_to_date() -> None:
    assert factors.PAGE.read_text(encoding="utf-8") == factors.page(), "run make factors"


def test_every_factor_has_a_promise_and_evidence() -> None:
    rows = [line.split(" | ") for line in factors.page().splitlines() if re.match(r"\| [IVX]+\. ", line)]
    assert [factor.removeprefix("| ").partition(".")[0] for factor, _, _ in rows] == FACTORS
    assert all(promise.endswith(".") and evidence.count(";") >= 3 for _, promise, evidence in rows)


def test_a_test_without_a_promise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factors, "TESTS", tmp_path)
    (tmp_path / "test_13_hope.py").write_text('"""Hope."""\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"test_13_hope\.py does not begin with"):
        factors.page()
