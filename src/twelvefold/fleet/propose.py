"""Propose an update: a branch with it, and a request that describes it; what is there already is brought up to date.

For the platform team over a whole fleet, and for a service's own pipeline alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from twelvefold.decisions import Decision, Outcome
from twelvefold.engine import report as reports
from twelvefold.engine import rollup as engine
from twelvefold.engine import transaction
from twelvefold.engine.members import Members
from twelvefold.engine.report import Report
from twelvefold.engine.rollup import Rollup, Wanted
from twelvefold.fleet.branch import Branch, signed
from twelvefold.fleet.locking import lock_without_building
from twelvefold.fleet.remote import Clone
from twelvefold.fleet.results import TurnOutcome
from twelvefold.service import Service
from twelvefold.workspace import LOCK

OBSOLETE = "The service is in step with the template without this."


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be proposed: an update to a template, and how."""

    template: str
    ref: str | None = None
    answers: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    """Where in the repository the service lies."""
    branch: str = "twelvefold/update"
    labels: Sequence[str] = ("twelvefold",)
    heal: bool = False
    lock: bool = True
    build: bool = False
    """Whether uv lock may build, and so run, what a service depends on, and the service's own package."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """What came of it."""

    outcome: TurnOutcome
    sentence: str
    body: str = ""
    """The request's description, as Markdown."""
    target: str = ""
    """The version of the template that it is about."""
    drift: tuple[str, ...] = ()
    proposal: str = ""
    """The commit of the branch; "" if there is none."""
    request: str = ""
    """The page of the open request; "" if there is none."""


def check(branch: Branch, wish: Wish) -> Proposed:
    """Say what would be proposed. The main branch is checked out."""
    rollup = _planned(branch.clone, wish)
    report = reports.report_of(rollup, was_applied=False)
    outcome = TurnOutcome.IN_STEP if rollup.plan.is_empty else TurnOutcome.WOULD_CHANGE
    return _proposed(outcome, report, drift_of(rollup.service), proposal=branch.heads.proposal)


def propose(branch: Branch, wish: Wish) -> Proposed:
    """Bring a branch, and its request, to what an update of the main branch gives. The main branch is checked out.

    Raises RefusedError or FailedError; if that was before the push, nothing has changed.
    """
    rollup = _planned(branch.clone, wish)
    report = reports.report_of(rollup, was_applied=True)
    drift = drift_of(rollup.service)  # before its files are others
    if rollup.plan.is_empty:
        proposal = branch.withdraw(OBSOLETE)
        return _proposed(TurnOutcome.PERSON if report.open else TurnOutcome.IN_STEP, report, drift, proposal=proposal)
    branch.start()
    report = _update(branch.clone, wish, report)
    title, body = reports.commit_message(report).partition("\n")[0], reports.as_markdown(report)
    proposal, request = branch.publish(title=title, body=body, needs_person=bool(report.open))
    outcome = TurnOutcome.PERSON if report.open else TurnOutcome.PROPOSED
    return _proposed(outcome, report, drift, proposal=proposal, request=request.url)


def _planned(clone: Clone, wish: Wish) -> Rollup:
    rollup = engine.prepare(Wanted(clone.folder / wish.folder, wish.template, wish.ref, wish.answers))
    if wish.heal:
        rollup.plan.acknowledge()
    return rollup


def _update(clone: Clone, wish: Wish, described: Report) -> Report:
    """Roll up onto what is checked out, and commit; return the report with what of the last steps did not work.

    :param described: the report of the whole request, of which what is checked out may have a part already.
    """
    rollup = _planned(clone, wish)
    if rollup.plan.is_empty:
        return described
    repository, changes = rollup.repository, rollup.plan.changes
    transaction.apply(changes, repository.service, repository.state)
    paths = [change.path for change in changes]
    failed = None
    if wish.lock and "pyproject.toml" in paths and repository.places.at(LOCK).exists():
        failed = _lock(clone, wish)
        paths.append(LOCK)
    engine.commit(repository, paths, signed(reports.commit_message(described), rollup.template.commit))
    transaction.close(repository.state)
    return replace(described, decisions=[*described.decisions, *([failed] if failed else [])])


def _lock(clone: Clone, wish: Wish) -> Decision | None:
    """Run uv lock in the service; return a decision if it did not work, or is left to the service's own pipeline."""
    if wish.build:
        return engine.lock_dependencies(clone.folder / wish.folder)
    return lock_without_building(clone.folder, wish.folder)


def _proposed(
    outcome: TurnOutcome, report: Report, drift: tuple[str, ...], *, proposal: str, request: str = ""
) -> Proposed:
    left = [f"{one.path}: left to its own pipeline." for one in report.decisions if one.outcome is Outcome.LEFT]
    sentence = " ".join([report.summary(), *left])
    return Proposed(outcome, sentence, reports.as_markdown(report), report.new, drift, proposal, request)


def drift_of(service: Service) -> tuple[str, ...]:
    """The paths that the template owns, and that are not as it rendered them, be it for another of the workspace."""
    members = Members.of(service)
    owned = {path: entry for path, entry in service.manifest.items() if entry.owner == "owned"}
    return tuple(
        path
        for path, entry in sorted(owned.items())
        if not ((file := service.file(path)) and entry.is_like(file)) and not members.left_so(path, file)
    )
