"""Show the main job: render a service with the default answers, start it, ask it, keep it running until Ctrl-C.

Run by `make run`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
SCRATCH = TEMPLATE / ".cache" / "run"
LISTENING = re.compile(r"listening on (http://\S+)")
WHAT_TO_SEE = """
  the greeting     {address}/api/v1/greeting?name=Ada
  the API docs     {address}/docs
  the metrics      {address}/metrics
  the probes       {address}/livez  /startupz  /readyz
  the code         {service}
  your own         cookiecutter {template}

Its log follows; Ctrl-C ends it.
"""


def main() -> int:
    """Return 0 if it was stopped while it served, 130 if it was stopped before, 3 if the service failed."""
    with own_interrupts():
        try:
            code = serve()
        except KeyboardInterrupt:
            code = 128 + signal.SIGINT
    step("Stopped.")
    return code


def serve() -> int:
    began = time.monotonic()
    step("Rendering a service with the default answers ...")
    service = render()
    step("Installing it (a first run downloads its dependencies) ...")
    subprocess.run(["make", "--no-print-directory", "install"], cwd=service, check=True)
    step("Starting it ...")
    with started(service) as process:
        address = wait_for_address(process)
        greeting = get(f"{address}/api/v1/greeting")
        step(f"{address}/api/v1/greeting answered {greeting}, {time.monotonic() - began:.1f} s after make run.")
        print(WHAT_TO_SEE.format(address=address, service=service, template=TEMPLATE), flush=True)
        follow(process)
    return 0 if process.returncode == 0 else 3


def step(sentence: str) -> None:
    print(f"twelvefold: {sentence}", flush=True)


def render() -> Path:
    from cookiecutter.main import cookiecutter  # takes a second, in which Ctrl-C must find its handler

    os.environ["TWELVEFOLD_QUIET"] = "1"
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    service = cookiecutter(str(TEMPLATE), no_input=True, output_dir=str(SCRATCH), default_config=True)
    return Path(service)


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
def started(service: Path) -> Iterator[subprocess.Popen[str]]:
    """The running service; SIGTERM ends it, as it would in a cluster."""
    environment = {**os.environ, "PORT": "0", "APP_LOG_FORMAT": "text", "PYTHONUNBUFFERED": "1"}
    for name in ("VIRTUAL_ENV", "PYTHONPYCACHEPREFIX"):
        environment.pop(name, None)
    process = subprocess.Popen(
        [service / ".venv/bin/python", "-m", "my_service", "serve"],
        cwd=service,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
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


def get(url: str) -> object:
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.load(response)


def follow(process: subprocess.Popen[str]) -> None:
    """Copy the service's log to the terminal until it ends or somebody presses Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        for line in process.stdout or ():
            sys.stdout.write(line)
            sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
