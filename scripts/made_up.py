"""A fleet that is made up, as large as is wanted: for the picture of its page, and to test and measure the page."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from twelvefold.decisions import Decision, Outcome
from twelvefold.engine.report import Report, as_markdown
from twelvefold.engine.transaction import Change
from twelvefold.fleet.results import Result, TurnOutcome
from twelvefold.service import File

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
TEMPLATE = "https://github.com/org/twelvefold"
RELEASES = ["0.1.0", "0.1.1", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "0.9.0"]
EVERY_DAYS = 25
LATE = [TurnOutcome.PROPOSED, TurnOutcome.PROPOSED, TurnOutcome.PROPOSED, TurnOutcome.PERSON, TurnOutcome.FAILED]
TEAMS = ["billing", "checkout", "fraud", "ledger", "onboarding", "payout", "refund", "risk", "search", "settlement"]
KINDS = ["api", "worker", "gateway", "export", "sync", "notifications", "reports"]
FAULTS = [
    "git ls-remote: no answer in the time that there was",
    "The forge answers 403 Forbidden: the token may not write to this project.",
    "uv lock: no version of numpy is >=2 and <2, as pyproject.toml asks.",
]
CHASSIS = "vendor/chassis/src/chassis"
HEALTH, LOGS = f"{CHASSIS}/process/health.py", f"{CHASSIS}/telemetry/logs.py"
DRIFT = [HEALTH, "Dockerfile", LOGS, "Makefile", "deploy/chart/values.yaml"]
MODULES = ["telemetry/access", "process/health", "telemetry/metrics", "settings/reading", "telemetry/tracing"]
CHANGED = ["Dockerfile", "pyproject.toml", *(f"{CHASSIS}/{module}.py" for module in MODULES)]
ADDED = f"{CHASSIS}/http/limits.py"


def services(count: int) -> list[Result]:
    """So many services that followed the releases of nine months, each at its own pace; the same ones each time."""
    chance = random.Random(12)  # noqa: S311
    return [_service(number, chance) for number in range(count)]


def _service(number: int, chance: random.Random) -> Result:
    versions = _versions(chance)
    version = versions[-1][1]
    outcome = TurnOutcome.IN_STEP if version == RELEASES[-1] else chance.choice(LATE)
    name = f"{chance.choice(TEAMS)}-{chance.choice(KINDS)}-{number:03}"
    url = f"https://gitlab.example.com/payments/{name}"
    drift = tuple(sorted(chance.sample(DRIFT, chance.randint(1, 3)))) if outcome is TurnOutcome.PERSON else ()
    report = _report(name, version, drift) if outcome in {TurnOutcome.PROPOSED, TurnOutcome.PERSON} else None
    said = chance.choice(FAULTS) if outcome is TurnOutcome.FAILED else "Nothing to do."
    return Result(
        name=name,
        url=f"{url}.git",
        outcome=outcome,
        sentence=report.summary() if report else said,
        version=version,
        target=RELEASES[-1],
        request=f"{url}/-/merge_requests/{chance.randrange(4, 400)}" if report else "",
        drift=drift,
        report=as_markdown(report) if report else "",
        at=(NOW - timedelta(minutes=chance.randrange(600))).isoformat(timespec="seconds"),
        versions=versions,
    )


def _versions(chance: random.Random) -> tuple[tuple[str, str], ...]:
    first = min(int(chance.expovariate(0.5)), len(RELEASES) - 1)
    last = len(RELEASES) - 1 - min(int(chance.expovariate(1.4)), len(RELEASES) - 1 - first)
    seen = []
    for place in range(first, last + 1):
        if place in {first, last} or chance.random() < 0.8:
            late = timedelta(days=(len(RELEASES) - place) * EVERY_DAYS - chance.expovariate(1 / 5) % EVERY_DAYS)
            seen.append(((NOW - late).isoformat(timespec="seconds"), RELEASES[place]))
    return tuple(seen)


def _report(name: str, version: str, drift: Sequence[str]) -> Report:
    changes = [Change(path, File(b"1"), File(b"2")) for path in CHANGED]
    return Report(
        service=name,
        template=TEMPLATE,
        old=version,
        new=RELEASES[-1],
        commit="5f3c1de0a9b84c7712",
        changes=[*changes, Change(ADDED, None, File(b"1"))],
        decisions=[
            *(Decision(Outcome.HEALED, path, patch="-    timeout = 30\n+    timeout = 10") for path in drift),
            Decision(Outcome.KEPT, "pyproject.toml", "tool.ruff.line-length", yours="100", template="120"),
        ],
        notes=[],
        was_applied=True,
        changelog="## 0.9.0\n\n- A limit on the size of a request.\n- The access log names the route, not the path.\n",
    )
