"""Measure what a rendered service costs on top of bare FastAPI: requests per CPU second, start, memory.

Run by `make bench NAME=service`; needs wrk (Debian: apt-get install wrk). All servers run on one environment, that of
the service's image, and one interpreter, one worker each, in turns, with their output to a file; the peer has its own.
The CPU is that of the server's process tree, so a loaded machine makes the figures noisy and hardly biased.
`--in-process` measures without a server and without wrk, in seconds.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import render as main_job

sys.path.insert(0, str(main_job.TEMPLATE / "tests"))

from environments import EVERYTHING, interpreter, render, without_project
from ports import free_port

SCRATCH = main_job.SCRATCH / "service"
BENCHMARKS = Path(__file__).parent
GREETING = "/api/v1/greeting"
REQUESTS = re.compile(r"(\d+) requests in")
BAD = re.compile(r"Non-2xx or 3xx responses: (\d+)|Socket errors: .*")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, eq=False)
class Contender:
    """One server: how it is started, and what it is asked for."""

    name: str
    command: list[str | Path]
    folder: Path
    path: str = GREETING
    environment: Mapping[str, str] = field(default_factory=dict)
    target: str = ""


@dataclass
class Figures:
    """Of one round: requests per CPU second of the server; CPU seconds until the first 200; MiB after the load."""

    per_cpu_second: float
    start: float
    memory: float


def traced(collector: str) -> dict[str, str]:
    """The variables for 1 % of traces."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": "0.01",
    }


def contenders(python: Path, service: Path, collector: str) -> list[Contender]:
    uvicorn: list[str | Path] = [python, "-m", "uvicorn", "bare:app", "--port", "{port}"]
    lean = ["--no-access-log", "--loop", "uvloop", "--http", "httptools"]
    serve: list[str | Path] = [python, "-m", "my_service", "serve"]
    ours = {"PORT": "{port}", "APP_ENVIRONMENT": "production"}
    return [
        Contender("bare FastAPI, its own command line", uvicorn, BENCHMARKS),
        Contender("bare FastAPI, lean", [*uvicorn, *lean], BENCHMARKS),
        Contender("twelvefold, everything on", serve, service, environment=ours, target="≥ 1.05; ≥ 0.80 of lean"),
        Contender(
            "twelvefold, 1 % traced", serve, service, environment={**ours, **traced(collector)}, target="≥ 0.75 of lean"
        ),
        Contender("twelvefold, a probe", serve, service, path="/livez", environment=ours, target="≥ 0.95 of lean"),
    ]


def peer(python: Path) -> Contender:
    """s3rius' template, minimal. Raises FailedError."""
    contender = main_job.peer()
    variables = {**main_job.environment(python), **contender.environment}
    main_job.install_peer(python)
    folder = main_job.empty(SCRATCH / "peer")
    main_job.run(contender.render, folder, {**variables, "PATH": f"{main_job.STAND_INS}:{variables['PATH']}"})
    service = folder / contender.service
    main_job.run(["uv", "sync"], service, variables)
    environment = {**contender.environment, "PEER_SERVICE_PORT": "{port}"}
    command: list[str | Path] = [service / ".venv/bin/python", "-m", contender.service]
    return Contender("fastapi_template 6.1.2, minimal", command, service, contender.question, environment)


def measure(contender: Contender, seconds: int) -> Figures:
    port = free_port()
    with serving(contender, port) as process:
        start = first_answer(process, f"http://127.0.0.1:{port}{contender.path}")
        load(port, contender.path, 1)
        before = cpu(process.pid)
        requests = load(port, contender.path, seconds)
        return Figures(requests / (cpu(process.pid) - before), start, resident(process.pid))


@contextlib.contextmanager
def serving(contender: Contender, port: int) -> Iterator[subprocess.Popen[bytes]]:
    fill = {"port": str(port)}
    environment = {name: value.format(**fill) for name, value in contender.environment.items()}
    kept = without_project("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    with (SCRATCH / "output").open("wb") as output:
        process = subprocess.Popen(
            [str(part).format(**fill) for part in contender.command],
            cwd=contender.folder,
            env={**kept, **environment},
            stdout=output,
            stderr=output,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(timeout=30)


def first_answer(process: subprocess.Popen[bytes], url: str) -> float:
    """Wait for the first 200 and return the CPU seconds that it took. Raises FailedError after 30 s."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        if main_job.answers(url):
            return cpu(process.pid)
        time.sleep(0.02)
    raise main_job.FailedError(f"{process.args!r} did not answer {url}")


def load(port: int, path: str, seconds: int) -> int:
    """Let wrk ask for `seconds` over 32 connections; return how many requests were answered with a 2xx."""
    command = ["wrk", "-t1", "-c32", f"-d{seconds}s", f"http://127.0.0.1:{port}{path}"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = REQUESTS.search(said)
    if not found or BAD.search(said):
        raise main_job.FailedError(f"wrk had errors: {said}")
    return int(found[1])


def cpu(pid: int) -> float:
    """CPU seconds, user and system, of process `pid` and those below it."""
    own = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(own[11]) + int(own[12])) / TICKS + sum(cpu(child) for child in children(pid))


def resident(pid: int) -> float:
    """MiB of memory of process `pid` and those below it."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20 + sum(resident(child) for child in children(pid))


def children(pid: int) -> list[int]:
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()))


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes whatever traces it is sent."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def collecting() -> Iterator[str]:
    """The address of a trace collector."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def installed(service: Path) -> Path:
    """The Python of an environment for a service as its image has it: without what serves development alone."""
    environment = {**without_project(), "UV_PYTHON": str(interpreter("3.13"))}
    for command in (["lock"], ["sync", "--frozen", "--no-dev", "--no-editable", "--compile-bytecode"]):
        subprocess.run(["uv", "--quiet", *command], cwd=service, env=environment, check=True)
    return service / ".venv/bin/python"


def in_process(python: Path, service: Path, **variables: str) -> dict[str, float]:
    """Microseconds a request without a server, with more environment variables; see in_process.py."""
    own = {"PYTHONPATH": str(BENCHMARKS), "APP_LOG_FORMAT": "json"}
    environment = {**without_project(), **own, **variables}
    command: list[str | Path] = [python, BENCHMARKS / "in_process.py", "my_service"]
    done = subprocess.run(command, cwd=service, env=environment, check=True, capture_output=True, text=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def table(measured: dict[Contender, list[Figures]]) -> str:
    """Medians with the least and the most, as a Markdown table; ratios to the first two contenders, round by round."""
    own, lean, *_ = measured.values()
    heads = ("", "requests per CPU s", "÷ own", "÷ lean", "start, CPU s", "÷ lean", "MiB", "target")
    rows = [f"| {' | '.join(heads)} |", "| --- " * len(heads) + "|"]
    for each, figures in measured.items():
        cells = [
            each.name,
            spread([one.per_cpu_second for one in figures], ",.0f"),
            spread([one.per_cpu_second / beside.per_cpu_second for one, beside in zip(figures, own, strict=True)]),
            spread([one.per_cpu_second / beside.per_cpu_second for one, beside in zip(figures, lean, strict=True)]),
            spread([one.start for one in figures]),
            spread([one.start / beside.start for one, beside in zip(figures, lean, strict=True)]),
            f"{statistics.median(one.memory for one in figures):.0f}",
            each.target,
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def spread(values: list[float], form: str = ".2f") -> str:
    """The median, the least and the most."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def rounds(number: int, seconds: int, python: Path, service: Path) -> dict[Contender, list[Figures]]:
    with collecting() as collector:
        all_of_them = contenders(python, service, collector)
        try:
            all_of_them.append(peer(python))
        except main_job.FailedError as error:
            main_job.say(f"The peer is left out: {error}")
        measured: dict[Contender, list[Figures]] = {each: [] for each in all_of_them}
        for turn in range(1, number + 1):
            for each in all_of_them:
                figures = measure(each, seconds)
                measured[each].append(figures)
                main_job.say(f"round {turn}: {each.name}: {figures.per_cpu_second:,.0f} requests per CPU second")
    return measured


def with_everything() -> tuple[Path, Path]:
    """A service with every capability, on a SQLite of its own that is up to date, and its Python."""
    service = render(SCRATCH / "everything", **EVERYTHING)
    python = installed(service)
    upgrade: list[str | Path] = [python, "-m", "my_service", "db", "upgrade"]
    subprocess.run(upgrade, cwd=service, env=without_project(), check=True, capture_output=True)
    return python, service


def tell_in_process(what: str, python: Path, service: Path) -> None:
    """Measure without a server, without traces and with 1 % of them, and print both."""
    with collecting() as collector:
        for title, variables in ((what, {}), (f"{what}, 1 % traced", traced(collector))):
            figures = in_process(python, service, **variables)
            bare, ours = figures["bare"], figures["service"]
            main_job.say(
                f"In process, {title}: bare {bare:.1f} µs, service {ours:.1f} µs ({bare / ours:.2f} of bare), "
                f"probe {figures['probe']:.1f} µs"
            )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds; 5 unless told")
    parser.add_argument("--seconds", type=int, default=4, help="of load in a round; 4 unless told")
    parser.add_argument("--in-process", action="store_true", help="without servers: a figure that noise hardly moves")
    options = parser.parse_args()
    shutil.rmtree(SCRATCH, ignore_errors=True)
    service = render(SCRATCH / "ours")
    python = installed(service)
    tell_in_process("no capability", python, service)
    tell_in_process("all capabilities", *with_everything())
    if not options.in_process:
        if not shutil.which("wrk"):
            main_job.say("wrk is missing; install it (Debian: apt-get install wrk), or ask for --in-process.")
            return 2
        main_job.say(f"\n{table(rounds(options.rounds, options.seconds, python, service))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
