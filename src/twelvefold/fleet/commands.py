"""What `twelvefold fleet` does, between the fleet's engine and the terminal."""

from __future__ import annotations

import json
import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

from filelock import FileLock, Timeout

from twelvefold.console import ExitCode, say, show, unread
from twelvefold.engine import template as templates
from twelvefold.engine.rollup import refuse_no_branch
from twelvefold.errors import FailedError, InterruptedByUser, RefusedError
from twelvefold.fleet import listing
from twelvefold.fleet.command import Order
from twelvefold.fleet.config import Config, Declared, Wave, load
from twelvefold.fleet.jobs import Job
from twelvefold.fleet.listing import Listed
from twelvefold.fleet.options import (
    FleetOptions,
    FleetReportOptions,
    FleetRollupOptions,
    FleetRunOptions,
    FleetStatusOptions,
    RunOptions,
)
from twelvefold.fleet.outcomes import CODES, KINDS, counted, line
from twelvefold.fleet.pool import Pool, workers
from twelvefold.fleet.progress import progress
from twelvefold.fleet.propose import Wish
from twelvefold.fleet.results import Result, Results, TurnOutcome, without_report
from twelvefold.fleet.standing import NEVER, cells, data, table
from twelvefold.fleet.tokens import token_of_fleet
from twelvefold.fleet.unfinished import Begun, Unfinished
from twelvefold.git import without_credentials


@dataclass(frozen=True, slots=True)
class Fleet:
    """`fleet.toml`, the services that it lists, and the folder for what is known of them."""

    config: Config
    file: Path
    state: Path
    services: list[Listed]
    """Those that the options name."""
    everybody: list[Listed]
    token: str | None = field(default=None, repr=False)

    @property
    def results(self) -> Results:
        """What the last rollups found."""
        return Results(self.state / "results")


def open_fleet(options: FleetOptions) -> Fleet:
    """Read `fleet.toml` and list what it names; the token is read if the forge is asked.

    Raises RefusedError or FailedError.
    """
    file = options.file
    config = load(file)
    token = token_of_fleet(config, file.parent, options.token_file) if config.discover else None
    everybody = listing.listed(config, file.parent.resolve(), _discovered(config, token))
    services = listing.only(everybody, options.only)
    return Fleet(config, file, options.folder, services, everybody, token)


def open_to_propose(options: RunOptions) -> Fleet:
    """As `open_fleet`, of the shard that is asked for, with the token, which what proposes always needs."""
    fleet = open_fleet(options)
    if options.shard:
        fleet = replace(fleet, services=listing.of_shard(fleet.services, options.shard))
    if fleet.config.discover:
        return fleet
    return replace(fleet, token=token_of_fleet(fleet.config, fleet.file.parent, options.token_file))


def _discovered(config: Config, token: str | None) -> list[Declared]:
    if not config.discover:
        return []
    from twelvefold.fleet.discover import discovered

    return [one for wanted in config.discover for one in discovered(wanted, config.forge, token)]


def run_rollup(options: FleetRollupOptions) -> ExitCode:
    """Roll the template up onto the fleet, wave by wave; return the exit code."""
    unfinished = Unfinished(options.folder / "run.json")
    begun = unfinished.resumed(options) if options.resume else None
    options = begun.options if begun else options
    fleet = open_to_propose(options)
    _refuse_builds_without_lock(fleet, options)
    refuse_no_branch(fleet.config.branch, fleet.file.parent)
    with _alone(fleet.state), templates.finding_once(), interruptible("twelvefold fleet rollup --resume"):
        done = fleet.results.of_run(begun.run) if begun else {}
        begun = begun or Begun(_now(), options, _newest(fleet, options))
        waves = _planned(_waves_of_rollup(fleet, begun), lambda one: rollup_of(fleet, one, begun))
        unfinished.keep(begun)
        code = _work(waves, options, done)
        unfinished.forget()
    return code


def _refuse_builds_without_lock(fleet: Fleet, options: FleetRollupOptions) -> None:
    if options.build and (options.no_lock or not fleet.config.lock):
        other = "--no-lock" if options.no_lock else f"lock = false in {fleet.file}"
        raise RefusedError(f"--build is about uv lock, which {other} keeps from running. Leave one of them out.")


def _newest(fleet: Fleet, options: FleetRollupOptions) -> str | None:
    """The newest release now: one that comes while a run goes on is for the next."""
    if options.ref or fleet.config.ref:
        return None
    return templates.find(_template_url(fleet.config, fleet.file), None).ref


def run_command(options: FleetRunOptions) -> ExitCode:
    """Run a command in every repository; return the exit code."""
    fleet = open_to_propose(options)
    refuse_no_branch(options.branch, fleet.file.parent)
    run = _now()
    with _alone(fleet.state), templates.finding_once(), interruptible("run the same again"):
        waves = _planned(_waves(fleet, options.wave), lambda one: command_of(fleet, one, options, run))
        return _work(waves, options, {})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


def _planned(
    waves: Sequence[tuple[Wave, Sequence[Listed]]], job_of: Callable[[Listed], Job]
) -> list[tuple[Wave, list[Job]]]:
    """Each wave with its jobs. What cannot be done at all is refused here, before the first wave is begun."""
    return [(wave, [job_of(one) for one in services]) for wave, services in waves]


def _work(waves: Sequence[tuple[Wave, Sequence[Job]]], options: RunOptions, done: Mapping[str, Result]) -> ExitCode:
    """Do wave after wave, and tell; `done` are results that the same run has already. Return the exit code."""
    results: list[Result] = []
    with workers(options.jobs) as pool:
        for number, (wave, jobs) in enumerate(waves):
            came = list(_told(pool, jobs, wave, done))
            results += came
            left = sum(len(later) for _, later in waves[number + 1 :])
            if left and _fails_too_often(came, _most(wave, options)):
                _tell_stop(wave, came, left)
                break
    _summarise(results)
    return max((CODES[result.outcome] for result in results), default=ExitCode.DONE)


@contextmanager
def interruptible(to_go_on: str) -> Iterator[None]:
    """End on Ctrl-C, and on the SIGTERM of a pipeline that is cancelled, with what to do next."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptedByUser(f"Interrupted. What is done is kept; to go on: {to_go_on}") from error
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """Keep a second run out of the same folder. Raises RefusedError if one goes on."""
    lock = FileLock(state.with_name(f"{state.name}.lock"))
    try:
        with lock.acquire(timeout=0):
            yield
    except Timeout as error:
        raise RefusedError(f"Another run goes on in {state}. Wait for it, or take another folder: --state") from error


def _waves(fleet: Fleet, name: str | None) -> list[tuple[Wave, list[Listed]]]:
    chosen = {one.key for one in fleet.services}
    # Which wave a service is in does not depend on whether others were chosen.
    planned = listing.in_waves(fleet.everybody, fleet.config.waves)
    listing.refuse_unproved(fleet.everybody, planned)
    waves = [(wave, [one for one in services if one.key in chosen]) for wave, services in planned]
    if name is None:
        return waves
    if name not in {wave.name for wave, _ in waves}:
        known = ", ".join(wave.name for wave in fleet.config.waves)
        raise RefusedError(f"There is no wave {name}. The fleet has: {known}")
    return [(wave, services) for wave, services in waves if wave.name == name]


def _waves_of_rollup(fleet: Fleet, begun: Begun) -> list[tuple[Wave, list[Listed]]]:
    waves = _waves(fleet, begun.options.wave)
    if not begun.options.only_failed:
        return waves
    # With what this run itself has done already: it may be resumed.
    last = fleet.results.all()
    failed = {key for key, result in last if result.outcome is TurnOutcome.FAILED or result.run == begun.run}
    return [(wave, [one for one in services if one.key in failed]) for wave, services in waves]


def rollup_of(fleet: Fleet, one: Listed, begun: Begun) -> Job:
    """A service's turn in a rollup."""
    config, options = fleet.config, begun.options
    url, ref = _template_url(config, fleet.file), options.ref or one.ref or config.ref or begun.newest
    answers = {question: _typed(answer) for question, answer in one.answers.items()}
    lock, build = bool(config.lock) and not options.no_lock, config.lock == "build" or options.build
    wish = Wish(url, ref, answers, one.folder, config.branch, config.labels, one.heal, lock, build)
    return _job(fleet, one, wish, begun.run, is_dry=options.check)


def command_of(fleet: Fleet, one: Listed, options: FleetRunOptions, run: str) -> Job:
    """A service's turn when a command is run in all."""
    config = fleet.config
    title = options.title or f"chore: {' '.join(options.command)}"
    order = Order(options.command, title, one.folder, config.timeout_seconds)
    url, ref = _template_url(config, fleet.file), one.ref or config.ref
    wish = Wish(url, ref, folder=one.folder, branch=options.branch, labels=config.labels)
    return _job(fleet, one, wish, run, is_dry=options.check, order=order)


def _job(fleet: Fleet, one: Listed, wish: Wish, run: str, *, is_dry: bool, order: Order | None = None) -> Job:
    forge = fleet.config.forge
    of_branch = fleet.state / "runs" / re.sub(r"[^\w.-]+", "-", wish.branch)
    return Job(
        key=one.key,
        name=one.name,
        url=one.url,
        wish=wish,
        template=templates.find(wish.template, wish.ref),
        forge=forge.kind,
        forge_url=forge.address,
        token=fleet.token,
        results=of_branch if order else fleet.results.folder,
        clones=fleet.state / "clones",
        seconds=fleet.config.timeout_seconds,
        run=run,
        is_dry=is_dry,
        is_discovered=one.is_discovered,
        order=order,
    )


def _template_url(config: Config, file: Path) -> str:
    beside = file.parent / Path(os.path.expanduser(config.template))  # noqa: PTH111 - Path's own raises
    return str(beside.resolve()) if "://" not in config.template and beside.is_dir() else config.template


def _typed(answer: str | bool) -> str:
    """An answer as somebody would type it."""
    return str(answer).lower() if isinstance(answer, bool) else answer


def _told(pool: Pool, jobs: Sequence[Job], wave: Wave, done: Mapping[str, Result]) -> Iterator[Result]:
    """Do the jobs, and tell of each as it comes; give the results of all.

    They come without their reports, which are on disk: those of thousands are too much to keep.
    """
    with progress(len(jobs), wave.name) as tell:
        known = (done[job.key] for job in jobs if job.key in done)
        for result in chain(known, pool.do(job for job in jobs if job.key not in done)):
            tell(result)
            yield without_report(result)


def _most(wave: Wave, options: RunOptions) -> float:
    """The share of the wave's services that may fail."""
    return wave.max_failures if options.max_failures is None else options.max_failures


def _fails_too_often(results: Sequence[Result], most: float) -> bool:
    failed = sum(result.outcome is TurnOutcome.FAILED for result in results)
    return bool(results) and failed / len(results) > most


def _tell_stop(wave: Wave, results: Sequence[Result], left: int) -> None:
    failed = sum(result.outcome is TurnOutcome.FAILED for result in results)
    said = f"Stopped after the wave {wave.name}: {failed} of {len(results)} failed. Not begun: {left}."
    show("open", f"{said} Fix that, then: twelvefold fleet rollup --only-failed")


def _summarise(results: Sequence[Result]) -> None:
    with unread():
        for outcome in (TurnOutcome.PERSON, TurnOutcome.FAILED):
            for result in results:
                if result.outcome is outcome:
                    show(KINDS[outcome], line(result))
        counts = Counter(result.outcome for result in results)
        summary = ", ".join(counted(count, outcome) for outcome, count in sorted(counts.items()))
        show("summary", f"{len(results)} services: {summary or 'none'}.")


def run_status(options: FleetStatusOptions) -> ExitCode:
    """Print where every service stands, as the last run found it; return the exit code."""
    fleet = open_fleet(options)
    known = ((one, fleet.results.get(one.key)) for one in fleet.services)
    if options.as_json:
        rows = [data(one, result) for one, result in known]
        outcomes = {TurnOutcome(row["outcome"]) for row in rows}
        lines = [("", json.dumps(rows, indent=2, ensure_ascii=False))]
    else:  # without the reports, since those of thousands are too much to keep
        shown = [(cells(one, result), result.outcome if result else TurnOutcome.UNKNOWN) for one, result in known]
        outcomes = {outcome for _, outcome in shown}
        never = [("note", NEVER)] if outcomes == {TurnOutcome.UNKNOWN} else []
        lines = [*table([row for row, _ in shown]), *never]
    with unread():
        for kind, text in lines:
            show(kind, text)
    return max((CODES[outcome] for outcome in outcomes), default=ExitCode.DONE)


def run_report(options: FleetReportOptions) -> ExitCode:
    """Write the fleet's page; return the exit code."""
    from twelvefold.fleet.page import page

    fleet = open_fleet(options)
    output = options.output
    if not output.parent.is_dir():
        raise RefusedError(f"{output.parent} is no folder. Make it: mkdir -p {output.parent}")
    known = [fleet.results.get(one.key) or Result(one.name, one.url, TurnOutcome.UNKNOWN) for one in fleet.services]
    html = page(known, title=options.title, template=without_credentials(fleet.config.template))
    try:
        output.write_text(html, encoding="utf-8")
    except OSError as error:
        raise FailedError(f"{output} cannot be written: {error.strerror}.") from error
    say(f"{output}: {len(known)} services.")
    return ExitCode.DONE
