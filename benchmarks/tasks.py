"""Measure how fast a rendered service sends tasks and works on them, and what a task costs.

Run by `make bench NAME=tasks`; ARGS="--broker redis://127.0.0.1:6379/0 --tasks 5000" says where and how many. One
process sends, then one worker works, fifty at a time, on tasks that do nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path
from typing import TextIO

import render as main_job

sys.path.insert(0, str(main_job.TEMPLATE / "tests"))

from environments import render, service_path, service_python, without_project

SCRATCH = main_job.SCRATCH / "tasks"
PORT = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")
TASKS = """
import asyncio, time
import click
from chassis_tasks import Tasks

tasks = Tasks()

@tasks.task
async def nothing(number: int) -> None: ...

@click.command()
@click.argument("number", type=int)
@click.pass_obj
async def flood(settings, number):
    async with tasks.opened(settings):
        await nothing.enqueue(number=0)
        began, spent = time.perf_counter(), time.process_time()
        for start in range(0, number, 50):
            await asyncio.gather(*(nothing.enqueue(number=each) for each in range(start, start + 50)))
        seconds, cpu = time.perf_counter() - began, time.process_time() - spent
        print(f"sent: {number / seconds:,.0f} a second, {cpu / number * 1e6:.0f} µs of CPU each")
"""
MAIN = """
from chassis import Service
from .settings import Settings
from .tasks import flood

service = Service(package=__package__, settings=Settings, commands=[flood])
if __name__ == "__main__":
    service.main()
"""


def figures(port: int) -> float:
    """How many tasks the worker on `port` has done."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        found = re.search(r'^tasks_total\{outcome="done",task="nothing"\} (\S+)', answer.read().decode(), re.MULTILINE)
    return float(found[1]) if found else 0.0


def work_off(command: list[str], folder: Path, environ: dict[str, str], number: int) -> None:
    """Start a worker, wait until it has done `number` tasks, and tell how fast it was."""
    with tempfile.TemporaryFile("w+") as log:
        worker = subprocess.Popen([*command, "worker"], cwd=folder, env=environ, stdout=log, stderr=log)
        try:
            while not (found := _read(log)):
                time.sleep(0.02)
            began = time.perf_counter()
            before = figures(int(found[1]))
            while figures(int(found[1])) < number:
                time.sleep(0.1)
            seconds = time.perf_counter() - began
            ticks = Path(f"/proc/{worker.pid}/stat").read_text(encoding="ascii").split()[13:15]
            cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") / number * 1e6
            sys.stdout.write(
                f"done: {(number - before) / seconds:,.0f} a second, {cpu:.0f} µs of CPU each, start included\n"
            )
        finally:
            worker.terminate()
            worker.wait()


def _read(log: TextIO) -> re.Match[str] | None:
    log.seek(0)
    return PORT.search(log.read())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", default="redis://127.0.0.1:6379/0")
    parser.add_argument("--store", default="")
    parser.add_argument("--tasks", type=int, default=5_000)
    wanted = parser.parse_args()
    folder = render(main_job.empty(SCRATCH), tasks=True)
    package = folder / "src" / "my_service"
    (package / "tasks.py").write_text(TASKS, encoding="utf-8")
    (package / "__main__.py").write_text(MAIN, encoding="utf-8")
    queue = f"bench-{uuid.uuid4().hex[:8]}"
    environ = {
        **without_project(),
        "PYTHONPATH": service_path(folder),
        "BROKER_URL": wanted.broker,
        "APP_TASKS_STORE_URL": wanted.store,
        "APP_TASKS_QUEUE": queue,
        "APP_TASKS_KEEP_SECONDS": "60",
    }
    command = [str(service_python()), "-m", "my_service"]
    subprocess.run([*command, "flood", str(wanted.tasks)], cwd=folder, env=environ, check=True)
    work_off(command, folder, environ, wanted.tasks)


if __name__ == "__main__":
    main()
