"""A service that a script starts for somebody to look at: its log on the terminal, until Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rendered import render, without_project

LISTENING = re.compile(r"listening on (http://\S+)")


def step(sentence: str) -> None:
    print(f"twelvefold: {sentence}", flush=True)


def render_anew(scratch: Path, **answers: str | bool) -> Path:
    """Render the template into the folder `scratch`, which is emptied."""
    shutil.rmtree(scratch, ignore_errors=True)
    return render(scratch, **answers)


def install(service: Path) -> None:
    """Make its virtual environment. Raises CalledProcessError."""
    subprocess.run(["make", "--no-print-directory", "install"], cwd=service, env=without_project(), check=True)


@contextlib.contextmanager
def own_interrupts() -> Iterator[None]:
    """Let Ctrl-C reach this process alone, not make, which would report an interrupt and exit with 130."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not sys.stdin.isatty():
        yield
        return
    terminal, before = sys.stdin.fileno(), os.tcgetpgrp(sys.stdin.fileno())
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # handing the terminal back is done from the background
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, before)


@contextlib.contextmanager
def held_interrupts() -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM wait. A process that is being started would outlive whoever does not know it yet."""
    told: list[int] = []
    before = {
        number: signal.signal(number, lambda got, _: told.append(got)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for got in told:
        signal.raise_signal(got)


@contextlib.contextmanager
def started(service: Path, package: str) -> Iterator[subprocess.Popen[str]]:
    """The running service; SIGTERM ends it, as it would in a cluster."""
    process = None
    try:
        with held_interrupts():
            process = subprocess.Popen(
                [service / ".venv/bin/python", "-m", package, "serve"],
                cwd=service,
                env={**without_project(), "PORT": "0", "APP_LOG_FORMAT": "text", "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        yield process
    finally:
        if process:
            process.terminate()
            with process:
                for line in process.stdout or ():
                    sys.stdout.write(line)


def wait_for_address(process: subprocess.Popen[str]) -> str:
    """Return the service's address from its log. Exits if it ends without one."""
    for line in process.stdout or ():
        sys.stdout.write(line)
        if found := LISTENING.search(line):
            return found[1]
    sys.exit(f"The service ended with exit code {process.wait()} before it listened; its output is above.")


def follow(process: subprocess.Popen[str]) -> None:
    """Copy the service's log to the terminal until it ends or somebody presses Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        for line in process.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()
