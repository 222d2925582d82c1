"""The fleet's page: one HTML file that needs nothing else, and shows where every service stands."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from twelvefold.fleet.page.adoption import chart
from twelvefold.fleet.page.reports import as_html
from twelvefold.fleet.results import Result, TurnOutcome

WORDS = {
    TurnOutcome.PERSON: "person",
    TurnOutcome.FAILED: "failed",
    TurnOutcome.PROPOSED: "proposed",
    TurnOutcome.WOULD_CHANGE: "change",
    TurnOutcome.IN_STEP: "step",
    TurnOutcome.UNKNOWN: "unknown",
    TurnOutcome.NONE: "none",
}
"""Every outcome by its class in the style sheet, what needs somebody first."""

AT_ONCE = 500
"""So many services are shown at once; the rest are a button away, for what is laid out costs time."""


@dataclass(frozen=True, slots=True)
class Row:
    """A service as the page shows it."""

    result: Result
    kind: str
    order: int
    request: str
    is_hidden: bool


def page(results: Iterable[Result], *, title: str, template: str, now: datetime | None = None) -> str:
    """The page as HTML.

    :param title: of the page.
    :param template: the template's address.
    :param now: when it is made; the present by default.
    """
    services = sorted(results, key=lambda result: (_order(result), result.name))
    made = (now or datetime.now(UTC)).replace(microsecond=0)
    assets = {name: _asset(name) for name in ("page.css", "page.js", "no_script.css")}
    styles = " ".join(_hash(text) for name, text in assets.items() if name.endswith(".css"))
    environment = Environment(
        loader=PackageLoader("twelvefold.fleet", "page"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    html = environment.get_template("page.html").render(
        title=title,
        template=template,
        made=made,
        rows=[_row(result, index) for index, result in enumerate(services)],
        counts=_counts(services),
        drifted=sum(bool(result.drift) for result in services),
        versions=_versions(services),
        total=len(services),
        at_once=AT_ONCE,
        is_new=all(result.outcome is TurnOutcome.UNKNOWN for result in services),
        chart=chart([result.versions for result in services if result.versions], made),
        details=_details(services),
        style=Markup(assets["page.css"]),  # noqa: S704 - ours
        no_script=Markup(assets["no_script.css"]),  # noqa: S704 - ours
        script=Markup(assets["page.js"]),  # noqa: S704 - ours
        policy=f"default-src 'none'; style-src {styles}; script-src {_hash(assets['page.js'])}; "
        "base-uri 'none'; form-action 'none'",
    )
    # Half of a surrogate pair stands for a byte of a file's name that is no UTF-8.
    return html.encode("utf-8", "replace").decode()


def _order(result: Result) -> int:
    return list(WORDS).index(result.outcome)


def _row(result: Result, index: int) -> Row:
    request = result.request if result.request.startswith(("https://", "http://")) else ""
    return Row(result, WORDS[result.outcome], _order(result), request, is_hidden=index >= AT_ONCE)


def _details(services: Sequence[Result]) -> str:
    """What is told of each service once it is opened, as JSON, gzipped, in base64: reports are many and alike."""
    told = [
        {"url": one.url, "drift": one.drift, "target": one.target, "report": as_html(one.report)} for one in services
    ]
    packed = gzip.compress(json.dumps(told).encode(), mtime=0)  # the same services make the same page
    return base64.b64encode(packed).decode()


def _counts(services: Sequence[Result]) -> list[tuple[str, str, int]]:
    counted = Counter(result.outcome for result in services)
    return [(kind, str(outcome), counted[outcome]) for outcome, kind in WORDS.items() if counted[outcome]]


def _versions(services: Sequence[Result]) -> list[tuple[str, int]]:
    counted = Counter(result.version or "unknown" for result in services if result.outcome is not TurnOutcome.NONE)
    return counted.most_common()


def _asset(name: str) -> str:
    return files("twelvefold.fleet.page").joinpath(name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
