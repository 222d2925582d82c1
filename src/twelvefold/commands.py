"""What the commands do, between the engine and the terminal: this is where exit codes are picked."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from twelvefold import report as reports
from twelvefold import rollup as engine
from twelvefold import transaction
from twelvefold.cli import answers_of, exit_code, show
from twelvefold.plan import patch
from twelvefold.report import Report
from twelvefold.rollup import Request, Rollup
from twelvefold.service import Repository, Service

INTERRUPTED = "An update of this service was interrupted. To finish it: twelvefold rollup"


def run_rollup(folder: Path, options: Mapping[str, Any]) -> int:
    """Roll up, or say what a rollup would do, and return the exit code."""
    is_dry = options["check"] or options["diff"]
    repository = Repository.around(Service.open(folder).root)
    if is_dry and transaction.is_open(repository.state):
        click.echo(INTERRUPTED)
        return 1
    if not is_dry and engine.recover(repository):
        click.echo("Finished the update that was interrupted.")
    request = Request(
        folder, options["template"], options["ref"], answers_of(options["answers"]), options["allow_downgrade"]
    )
    rollup = engine.prepare(request, repository)
    if options["heal"]:
        rollup.plan.acknowledge()
    if not is_dry:
        change(rollup, options)
    report = report_of(rollup, was_applied=not is_dry)
    tell(report, options)
    if is_dry and not rollup.plan.is_empty:
        return 1
    return exit_code(rollup.plan.decisions)


def run_adopt(folder: Path, options: Mapping[str, Any]) -> int:
    """Show, and with --yes do, the first rollup onto a repository; return the exit code."""
    from twelvefold import adopt

    request = Request(folder, options["template"], options["ref"], answers_of(options["answers"]))
    template, answers = adopt.begin(request)
    if not options["no_input"] and sys.stdin.isatty():
        answers = ask(answers, template.questions())
    rollup = adopt.prepare(request, template, answers)
    if options["yes"]:
        change(rollup, options)
    report = report_of(rollup, was_applied=options["yes"])
    tell(report, {**options, "diff": False})
    if options["yes"]:
        return exit_code(rollup.plan.decisions)
    for decision in report.open:
        click.echo(decision.patch, nl=False)
    click.echo("Nothing was changed. To do it: the same command with --yes")
    return 1


def ask(answers: Mapping[str, str | bool], questions: Mapping[str, Any]) -> dict[str, str | bool]:
    """Ask the user for each answer that could be guessed, or is a choice."""
    prompts = questions.get("__prompts__", {})
    asked = dict(answers)
    for question, default in questions.items():
        if question.startswith("_") or (question not in answers and not isinstance(default, (list, bool))):
            continue
        text = prompts.get(question, question)
        kind = click.Choice(default) if isinstance(default, list) else type(default)
        guess = answers.get(question, default[0] if isinstance(default, list) else default)
        asked[question] = click.prompt(text if isinstance(text, str) else text["__prompt__"], default=guess, type=kind)
    return asked


def change(rollup: Rollup, options: Mapping[str, Any]) -> None:
    """Do what was planned, and the last steps that were asked for."""
    changes = rollup.plan.changes
    if not changes:
        return
    if options["branch"]:
        rollup.repository.refuse_changes()
        engine.switch(rollup.repository, options["branch"])
    engine.apply(rollup)
    paths = [change.path for change in changes]
    if not options["no_lock"] and "pyproject.toml" in paths:
        failed = engine.lock_dependencies(rollup.service.root)
        rollup.plan.decisions += [failed] if failed else []
        paths += ["uv.lock"] if (rollup.service.root / "uv.lock").exists() else []
    if options["commit"] or options["branch"]:
        engine.commit(rollup.repository, paths, reports.commit_message(report_of(rollup, was_applied=True)))


def report_of(rollup: Rollup, *, was_applied: bool) -> Report:
    """The report of a rollup."""
    return Report(
        service=str(rollup.service.answers.get("project_slug") or rollup.service.root.name),
        template=rollup.template.url,
        old=rollup.service.stamp.get("version", "nothing"),
        new=rollup.version,
        commit=rollup.template.commit,
        changes=rollup.plan.changes,
        decisions=rollup.plan.decisions,
        notes=rollup.plan.notes,
        was_applied=was_applied,
    )


def tell(report: Report, options: Mapping[str, Any]) -> None:
    """Print the report, or the diff, and write the file that was asked for."""
    if options["diff"]:
        for each in report.changes:
            click.echo(patch(each.path, each.before, each.after), nl=False)
    else:
        for kind, line in reports.lines(report):
            show(kind, line)
    if options["report"]:
        reports.write(report, options["report"])


def run_status(folder: Path, template: str | None, *, as_json: bool) -> int:
    """Say where a service stands, and return the exit code: 1 if a rollup has something to do."""
    from twelvefold.status import status_of

    status = status_of(folder, template)
    if as_json:
        click.echo(json.dumps(status.as_data(), indent=2, ensure_ascii=False))
    else:
        for kind, line in status.lines():
            show(kind, line)
    return 0 if status.is_in_step else 1
