"""What the commands do, between the engine and the terminal: this is where exit codes are picked."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import click

from twelvefold.console import ExitCode, exit_code, say, show, show_text, unread
from twelvefold.decisions import Decision
from twelvefold.engine import report as reports
from twelvefold.engine import rollup as engine
from twelvefold.engine import transaction
from twelvefold.engine.hidden import refuse_hidden
from twelvefold.engine.plan import patch
from twelvefold.engine.report import Report, report_of
from twelvefold.engine.rollup import LastSteps, Rollup, Wanted
from twelvefold.errors import FailedError, RefusedError
from twelvefold.options import AdoptOptions, RollupOptions, StatusOptions, UpdateOptions
from twelvefold.service import Answer, Repository
from twelvefold.workspace import LOCK

INTERRUPTED = "An update of this service was interrupted. To finish it: twelvefold rollup"


def run_rollup(options: RollupOptions) -> ExitCode:
    """Roll up, or say what a rollup would do, and return the exit code."""
    refuse_unknown_report(options)
    repository = Repository.found(options.service)
    stopped = repository if repository and transaction.is_open(repository.state) else None
    if stopped and options.is_dry:
        say(INTERRUPTED)
        return ExitCode.TO_DO
    finished = finish(stopped, options) if stopped else None
    earlier = finished.decisions if finished else []
    wanted = Wanted(options.service, options.template, options.ref, options.answers, options.allow_downgrade)
    if options.branch and repository and not options.is_dry:
        engine.continue_on(repository, options.branch)
        repository = Repository.around(repository.service)  # on that branch, vendor/ may be a link
    rollup = engine.prepare(wanted, repository)
    refuse_hidden_lock(rollup, options)
    if finished and rollup.plan.is_empty:
        return exit_code(earlier)
    if options.heal:
        rollup.plan.acknowledge()
    if options.diff:
        tell_diff(report_of(rollup, was_applied=False), options)
    elif options.check or rollup.plan.is_empty:
        tell(report_of(rollup, was_applied=not options.check), options)
    else:
        change(rollup, options)
    if options.is_dry and not rollup.plan.is_empty:
        return ExitCode.TO_DO
    return exit_code([*earlier, *rollup.plan.decisions])


def run_adopt(options: AdoptOptions) -> ExitCode:
    """Show, and with --yes do, the first rollup onto a repository; return the exit code."""
    from twelvefold.engine import adopt

    refuse_unknown_report(options)
    repository = Repository.found(options.repository)
    stopped = repository if repository and transaction.is_open(repository.state) else None
    if stopped and not options.yes:
        say(INTERRUPTED)
        return ExitCode.TO_DO
    if stopped and (finished := finish(stopped, options)):
        return exit_code(finished.decisions)
    wanted = Wanted(options.repository, options.template, options.ref, options.answers)
    template, answers = adopt.begin(wanted)
    if not options.no_input and sys.stdin.isatty():
        answers = ask(answers, template.questions())
    if options.branch and options.yes:
        engine.continue_on(Repository.around(options.repository.resolve()), options.branch)
    rollup = adopt.prepare(wanted, template, answers)
    refuse_hidden_lock(rollup, options)
    if options.yes:
        change(rollup, options)
        return exit_code(rollup.plan.decisions)
    report = report_of(rollup, was_applied=False)
    tell(report, options)
    for decision in report.open:
        show_text(decision.patch)
    say("Nothing was changed. To do it: the same command with --yes")
    return ExitCode.TO_DO


def ask(answers: Mapping[str, Answer], questions: Mapping[str, Any]) -> dict[str, Answer]:
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


def locks(rollup: Rollup, options: UpdateOptions) -> bool:
    """Whether the dependencies are locked anew at the end."""
    return not options.no_lock and any(change.path == "pyproject.toml" for change in rollup.plan.changes)


def refuse_hidden_lock(rollup: Rollup, options: UpdateOptions) -> None:
    """Raise RefusedError if the lock would be made anew, and git does not look at it."""
    if locks(rollup, options):
        refuse_hidden(rollup.repository, [LOCK])


def change(rollup: Rollup, options: UpdateOptions) -> None:
    """Do what was planned and the last steps that were asked for, and tell.

    The journal says what was asked for, and is closed after the report is told: whatever a kill leaves undone,
    the next command does.
    """
    if not rollup.plan.changes:
        tell(report_of(rollup, was_applied=True), options)
        return
    repository = rollup.repository
    report = report_of(rollup, was_applied=True)
    last = LastSteps(locks(rollup, options), bool(options.commit or options.branch), options.branch)
    with engine.locked(repository):
        if transaction.is_open(repository.state):
            raise RefusedError(INTERRUPTED)
        repository.refuse_changes()
        rollup.service.refuse_another_update()
        rollup.plan.refuse_update_of_another(rollup.service)
        if last.branch:
            engine.switch(repository, last.branch)
        memo = {"report": reports.as_memo(report), "last": asdict(last)}
        transaction.apply(report.changes, repository.service, repository.state, memo)
        rollup.plan.decisions += end(repository, report, last, options)


def end(repository: Repository, report: Report, last: LastSteps, options: UpdateOptions) -> list[Decision]:
    """Take the last steps, tell, and close the journal; return what did not work.

    Each step may have been taken before a kill. Raises FailedError if there can be no commit: the files are in place
    then, and the update is over.
    """
    failed = engine.lock_dependencies(repository.service) if last.lock else None
    report = replace(report, decisions=[*report.decisions, *([failed] if failed else [])])
    paths = [change.path for change in report.changes]
    if last.lock and repository.places.at(LOCK).exists():
        paths.append(LOCK)
    try:
        if last.commit:
            engine.commit(repository, paths, reports.commit_message(report))
    except FailedError as error:
        tell(report, options)
        transaction.close(repository.state)
        raise FailedError(
            f"The service is updated, but not committed: {error.message}. Fix that, then: git add -A && git commit"
        ) from error
    tell(report, options)
    transaction.close(repository.state)
    return [failed] if failed else []


def finish(repository: Repository, options: UpdateOptions) -> Report | None:
    """Finish the update that was interrupted, as it was asked for, and tell; None if another run was faster.

    It is committed if either that command or this one asks for it; else it stays in the working tree, as after a
    command that was not interrupted. Raises RefusedError if it belongs on another branch than this.
    """
    with engine.locked(repository):
        if not transaction.is_open(repository.state):
            return None
        last, report = memo_of(repository)
        engine.refuse_other_branch(repository, last)
        transaction.resume(repository.service, repository.state)
        if options.branch and not last.branch:
            engine.switch(repository, options.branch)
        wants_commit = bool(last.commit or options.commit or options.branch)
        say("Finished the update that was interrupted.")
        failed = end(repository, report, replace(last, commit=wants_commit), options)
    return replace(report, decisions=[*report.decisions, *failed])


def memo_of(repository: Repository) -> tuple[LastSteps, Report]:
    """What the journal says of the update around its files. Raises RefusedError if it is damaged."""
    memo = transaction.memo(repository.service, repository.state)
    try:
        return LastSteps(**memo["last"]), reports.of_memo(memo["report"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise transaction.damaged(repository.service, repository.state) from error


def refuse_unknown_report(options: UpdateOptions) -> None:
    """Raise RefusedError, before anything is done, if a report could not be written at the end."""
    for path in options.reports:
        reports.refuse_unknown(path)


def tell(report: Report, options: UpdateOptions) -> None:
    """Print the report, and write the files that were asked for."""
    with unread():
        for kind, line in reports.lines(report):
            show(kind, line)
    write(report, options)


def tell_diff(report: Report, options: UpdateOptions) -> None:
    """Print what would change, and write the files that were asked for."""
    with unread():
        for each in report.changes:
            show_text(patch(each.path, each.before, each.after))
    write(report, options)


def write(report: Report, options: UpdateOptions) -> None:
    """Write the files that were asked for."""
    for path in options.reports:
        reports.write(report, path)


def run_status(options: StatusOptions) -> ExitCode:
    """Say where a service stands, and return the exit code: 1 if a rollup has something to do."""
    from twelvefold.engine.status import status_of

    status = status_of(options.service, options.template)
    with unread():
        if options.as_json:
            say(json.dumps(status.as_data(), indent=2, ensure_ascii=False))
        else:
            for kind, line in status.lines():
                show(kind, line)
    return ExitCode.DONE if status.is_in_step else ExitCode.TO_DO
