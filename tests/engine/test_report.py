from __future__ import annotations

import json

import pytest

from twelvefold.decisions import Decision, Outcome
from twelvefold.engine.report import Report, as_markdown


def report(*decisions: Decision) -> Report:
    return Report("pay-api", "/template", "0.1.0", "0.2.0", "0" * 40, [], decisions, [], was_applied=True)


def test_what_a_sentence_cuts_short_is_told_in_full_below() -> None:
    pins = [f"package-{number}==1.0.{number}" for number in range(40)]
    yours = [pin.replace("1.0.3", "9.0.3") for pin in pins if pin != "package-20==1.0.20"]
    text = as_markdown(
        report(Decision(Outcome.HEALED, "pyproject.toml", "pins", yours=json.dumps(yours), template=json.dumps(pins)))
    )
    assert '-  "package-3==9.0.3",\n' in text
    assert '+  "package-3==1.0.3",\n' in text
    assert '+  "package-20==1.0.20",\n' in text
    assert 'package-21==1.0.21",\n' not in text


@pytest.mark.parametrize(("ticks", "fence"), [("`", "```"), ("```", "````"), ("`````", "``````")])
def test_a_patch_that_has_a_fence_itself_does_not_end_the_one_around_it(ticks: str, fence: str) -> None:
    healed = Decision(Outcome.HEALED, "README.md", patch=f"-{ticks}sh\n-ls\n-{ticks}\n")
    lines = [line.strip() for line in as_markdown(report(healed)).splitlines()]
    assert lines[lines.index(f"{fence}diff") :][1:5] == [f"-{ticks}sh", "-ls", f"-{ticks}", fence]


def test_what_a_sentence_has_is_not_told_twice() -> None:
    kept = Decision(Outcome.KEPT, "pyproject.toml", "tool.ruff.line-length", yours="100", template="110")
    assert "<details>" not in as_markdown(report(kept))
