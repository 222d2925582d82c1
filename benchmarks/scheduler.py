"""All that the fleet does itself with many services, without git: list, plan, keep results, go on, tell how they stand.

Run by `make bench NAME=fleet ARGS="--scheduler 10000"`.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from twelvefold.engine.template import Template
from twelvefold.fleet import commands, listing
from twelvefold.fleet.commands import Fleet, _told, run_status
from twelvefold.fleet.config import Declared, Wave, of
from twelvefold.fleet.jobs import Job
from twelvefold.fleet.options import FleetStatusOptions
from twelvefold.fleet.propose import Wish
from twelvefold.fleet.results import Result, Results, TurnOutcome

WAVES = [{"name": "canary", "services": ["s1?"]}, {"name": "tenth", "share": 0.1}, {"name": "rest"}]
REPORT = "- changed `owned/core.py`\n" * 300  # 8 kB, as a report of a release is
SHARDS = 8


class Scheduled:
    """Does jobs as a worker does, less git and the rollup: a result a service, on disk."""

    def do(self, work: Iterable[Job]) -> Iterator[Result]:
        """Keep a result for each job, and give it."""
        for job in work:
            result = Result(
                job.name, job.url, TurnOutcome.PROPOSED, "3 files.", "0.1.0", "0.2.0", report=REPORT, run=job.run
            )
            yield Results(job.results).put(job.key, result)


def print_scheduler(count: int) -> None:
    """Do each step for so many services, and print its time and the memory after it."""
    say = sys.stdout.write
    say(f"{count:,} services\n\n| | s | MiB at most so far |\n| --- | --- | --- |\n")

    @contextmanager
    def step(name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        say(f"| {name} | {time.monotonic() - began:.2f} | {peak:.0f} |\n")

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = of({"template": "https://git.example.com/t", "discover": [{"gitlab": "acme"}], "waves": WAVES}, folder)
        with step("start"):
            there = [Declared(url=f"https://git.example.com/g{number % 50}/s{number}.git") for number in range(count)]
        with step("list"):
            services = listing.listed(config, folder, there)
        with step("waves"):
            waves = listing.in_waves(services, config.waves)
        with step(f"{SHARDS} shards"):
            parts = [listing.of_shard(services, f"{number}/{SHARDS}") for number in range(1, SHARDS + 1)]
        if not sum(map(len, parts)) == len(services) == sum(len(members) for _, members in waves) == count:
            raise SystemExit("a service was lost, or is there twice")
        fleet = Fleet(config, folder / "fleet.toml", folder / ".fleet", services, services)
        with step("a run: a result a service"):
            _run(fleet, waves, {})
        with step("the same run, resumed at its end"):
            _run(fleet, waves, fleet.results.of_run("now"))
        with step("status"):
            _status(fleet, there)


def _run(fleet: Fleet, waves: list[tuple[Wave, list[listing.Listed]]], done: dict[str, Result]) -> None:
    template = Template(fleet.file, fleet.config.template, "0.2.0", "0" * 40)
    wish = Wish(fleet.config.template)
    kept = []
    for wave, services in waves:
        jobs = [
            Job(one.key, one.name, one.url, wish, template, results=fleet.results.folder, run="now") for one in services
        ]
        with _silence():
            kept += list(_told(Scheduled(), jobs, wave, done))
    if len(kept) != len(fleet.services):
        raise SystemExit("a result was lost, or is there twice")


def _status(fleet: Fleet, there: list[Declared]) -> None:
    fleet.file.write_text(
        f'template = "{fleet.config.template}"\n[[discover]]\ngitlab = "acme"\n[[waves]]\nname = "all"\n'
    )
    discovered = commands._discovered
    commands._discovered = lambda config, token: there
    try:
        with _silence():
            run_status(FleetStatusOptions(file=fleet.file, state=None, token_file=None, only=(), as_json=False))
    finally:
        commands._discovered = discovered


@contextmanager
def _silence() -> Iterator[None]:
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield
