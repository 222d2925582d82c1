"""Measure the example `poller`: URLs per CPU second beside a bare aiohttp `gather`, and what killing workers costs.

Run by `make bench NAME=poller`. All ask the same web, on this machine, which answers in 0 to 200 ms, one in ten with an
error, and have the same Python and the same concurrency. The CPU is that of the processes of each, so a loaded machine
makes the figures noisy and hardly biased. The second part needs PostgreSQL and a broker: `--broker redis`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import service as measuring

import render as main_job

sys.path.insert(0, str(main_job.TEMPLATE / "scripts"))
sys.path.insert(0, str(main_job.TEMPLATE / "tests"))

import backing
import example
from environments import service_path, service_python, without_project
from polling import Poller, asked, crew, outcome, polling, web

SCRATCH = main_job.SCRATCH / "poller"
TARGET = 0.6


@dataclass(frozen=True)
class Round:
    """What is asked of whom."""

    python: Path
    service: Path
    site: str
    number: int
    concurrency: int

    @property
    def urls(self) -> list[str]:
        return [f"{self.site}/mixed/{each}" for each in range(self.number)]

    @property
    def variables(self) -> dict[str, str]:
        concurrency = str(self.concurrency)
        return {"APP_POLL_CONCURRENCY": concurrency, "APP_POLL_PER_HOST": concurrency, "APP_LOG_FORMAT": "json"}


def alone(round_: Round, how: str) -> float:
    """URLs per CPU second of a process that does nothing else."""
    # -P: what lies beside it is called poller, too.
    command: list[str | Path] = [round_.python, "-P", Path(__file__).with_name("bare_poller.py"), how]
    numbers = [round_.site, str(round_.number), str(round_.concurrency)]
    environment = {**without_project(), "PYTHONPATH": service_path(round_.service)}
    done = subprocess.run([*command, *numbers], env=environment, check=True, capture_output=True, text=True)
    figures = json.loads(done.stdout)
    if figures["answered"] != round_.number * 99 // 100:
        raise main_job.FailedError(f"{how}: {figures['answered']} URLs had a status, and not 99 in 100")
    return round_.number / float(figures["cpu"])


def embedded(round_: Round) -> float:
    """URLs per CPU second of the whole service on its defaults: taken in, kept, asked, watched."""
    shutil.rmtree(round_.service / "data", ignore_errors=True)
    with polling(round_.service, round_.python, **round_.variables) as poller:
        poller.done(poller.submit([f"{round_.site}/status/200"]))
        before = measuring.cpu(poller.running.process.pid)
        task_id = poller.submit(round_.urls)
        for _ in poller.watched(task_id, seconds=300):
            pass
        cpu = measuring.cpu(poller.running.process.pid) - before
        refuse_gaps(poller, task_id, round_.urls)
    return round_.number / cpu


def refuse_gaps(poller: Poller, task_id: str, urls: list[str]) -> Mapping[str, object]:
    """The results of a task. Raises FailedError unless every URL has its one."""
    task = poller.task(task_id)
    if task["status"] != "ready" or [*task["result"]] != urls:
        raise main_job.FailedError(f"{task_id} is {task['status']}, with {len(task['result'])} of {len(urls)} results")
    counts = Counter(outcome(result) for result in task["result"].values())
    if counts[200] != len(urls) * 9 // 10:
        raise main_job.FailedError(f"{counts[200]} of {len(urls)} URLs had 200, and not nine in ten: {counts}")
    found: Mapping[str, object] = task["result"]
    return found


def killed(round_: Round, broker: str) -> None:
    """Print how 10,000 URLs fare with four workers, two of which are killed."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(backing.database(round_.python))
        variables = {**stack.enter_context(backing.queue(broker, round_.python)), **round_.variables}
        variables["DATABASE_URL"] = url
        poller = stack.enter_context(polling(round_.service, round_.python, **variables))
        workers = stack.enter_context(crew(round_.service, round_.python, 4, **variables))
        began = time.monotonic()
        urls = [f"{each}?{broker}" for each in round_.urls]
        task_id = poller.submit(urls)
        for update in poller.watched(task_id, seconds=300):
            if len(workers) > 2 and update["progress"]["done"] > len(urls) // 5 * (5 - len(workers)):
                workers.pop().process.send_signal(signal.SIGKILL)
        seconds = time.monotonic() - began
        results = refuse_gaps(poller, task_id, urls)
    pages = Counter({page: count for page, count in asked(round_.site).items() if page.endswith(f"?{broker}")})
    again = sum(1 for page, count in pages.items() if count > 1 and "99?" not in page)
    main_job.say(
        f"PostgreSQL and {broker}, 4 workers, {4 - len(workers)} of them killed: {len(results):,} results of "
        f"{len(urls):,} URLs, none missing, none doubled, in {seconds:.0f} s; {again} URLs were asked again."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="measured rounds; 3 unless told")
    parser.add_argument("--urls", type=int, default=10_000, help="in a round; 10,000 unless told")
    parser.add_argument("--concurrency", type=int, default=100, help="URLs asked at a time; 100 unless told")
    parser.add_argument("--broker", action="append", choices=backing.BROKERS, help="kill workers on this one, too")
    options = parser.parse_args()
    python = service_python()
    service = example.written(example.EXAMPLES / "poller", SCRATCH)
    rates: dict[str, list[float]] = {"bare": [], "fetcher": [], "service": []}
    with web(python) as site:
        round_ = Round(python, service, site, options.urls, options.concurrency)
        for turn in range(1, options.rounds + 1):
            for how in ("bare", "fetcher"):
                rates[how].append(alone(round_, how))
            rates["service"].append(embedded(round_))
            main_job.say(f"round {turn}: " + ", ".join(f"{how} {found[-1]:,.0f}" for how, found in rates.items()))
        for broker in options.broker or ():
            killed(round_, broker)
    bare, *_ = medians = [statistics.median(found) for found in rates.values()]
    rows = [f"| {how} | {rate:,.0f} | {rate / bare:.2f} |" for how, rate in zip(rates, medians, strict=True)]
    main_job.say("\n".join(["", "| | URLs per CPU s | ÷ bare |", "| --- | --- | --- |", *rows]))
    if medians[-1] < TARGET * bare:
        main_job.say(f"The service is below {TARGET} of bare.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
