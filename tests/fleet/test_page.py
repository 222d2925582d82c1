"""The fleet's page: what comes from repositories that nobody vouches for stays text."""

from __future__ import annotations

import base64
import gzip
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from twelvefold.fleet.page import AT_ONCE, page
from twelvefold.fleet.page.reports import as_html
from twelvefold.fleet.results import Result, TurnOutcome

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def html_of(*results: Result) -> str:
    return page(results, title="</title><script>alert(1)</script>", template="https://example.com/t", now=NOW)


def details_of(html: str) -> list[dict[str, Any]]:
    found = re.search(r'id="details">([^<]*)</script>', html)
    assert found
    told: list[dict[str, Any]] = json.loads(gzip.decompress(base64.b64decode(found[1])))
    return told


@pytest.mark.parametrize(
    "name", ["</script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "\u202eevil", "🦀", "\udc80"]
)
def test_a_hostile_name_stays_text(name: str) -> None:
    html = html_of(
        Result(name, name, TurnOutcome.FAILED, name, version=name, drift=(name,), versions=((NOW.isoformat(), name),))
    )
    assert html.count("<script") == 2  # the reports and our own
    assert "<img" not in html
    assert html.encode()


def test_a_request_is_an_address_of_the_web() -> None:
    html = html_of(Result("a", "a", TurnOutcome.PROPOSED, request="javascript:alert(1)"))
    assert "javascript:" not in html
    assert 'href="https://x/1"' in html_of(Result("a", "a", TurnOutcome.PROPOSED, request="https://x/1"))


@pytest.mark.parametrize(
    "report",
    [
        "<script>x</script>",
        "<img src=x onerror=y>",
        "[a](javascript:x)",
        "[a](data:text/html,x)",
        "[a](file:///etc)",
        "![a](https://x/y.png)",
    ],
)
def test_a_hostile_report_makes_no_element_that_acts(report: str) -> None:
    (told,) = details_of(html_of(Result("a", "a", TurnOutcome.PROPOSED, report=report)))
    assert not re.search(r"<(script|img|style|iframe)|href=\"(?!https?:)", told["report"])


def test_headings_of_a_report_are_below_those_of_the_page() -> None:
    assert as_html("# One\n\n#### Two") == "<h4>One</h4>\n<h6>Two</h6>\n"


def test_what_is_not_shown_at_once_is_there() -> None:
    html = html_of(*(Result(f"s{number}", "", TurnOutcome.IN_STEP) for number in range(AT_ONCE + 1)))
    assert html.count("<tr data-kind") == AT_ONCE + 1
    assert html.count(" hidden><th") == 1
    assert len(details_of(html)) == AT_ONCE + 1


def test_a_fleet_that_was_not_looked_at_says_what_to_type() -> None:
    assert "twelvefold fleet rollup --check" in html_of(Result("a", "a", TurnOutcome.UNKNOWN))
    assert "fleet rollup --check" not in html_of(Result("a", "a", TurnOutcome.IN_STEP))
