"""Measure the main job beside a peer's: rendering, render to the first 200, the rendered tests.

Run by `make bench NAME=render`; ARGS="--rounds 1" takes about a minute. Package caches are warm: an unmeasured round
comes first. Prints a Markdown table of medians.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TEMPLATE / "tests"))

from environments import interpreter, without_project  # noqa: E402

SCRATCH = TEMPLATE / ".cache" / "bench"
STAND_INS = SCRATCH / "stand-ins"
PEER = "fastapi_template==6.1.2"
PEER_COMMAND = SCRATCH / "peer" / "bin" / "fastapi_template"
PEER_OPTIONS = ["--quiet", "--name", "peer_service", "--api-type", "rest", "--db", "none", "--orm", "none"]
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
LIMIT = 300  # seconds, for any one step
FIGURES = {
    "render, CPU s": "≤ 1.0",
    "render → first 200, wall s": "≤ 10",
    "render → first 200, CPU s": "",
    "rendered tests, wall s": "< 10",
}


@dataclass(frozen=True)
class Contender:
    """A template, with the commands that its own documentation gives."""

    name: str
    render: Sequence[str | Path]
    service: str
    start: Sequence[Sequence[str]]  # the last one serves
    question: str
    test: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)


class FailedError(Exception):
    """A contender that could not be measured: why, in one line."""


def ours() -> Contender:
    return Contender(
        name="twelvefold",
        render=[Path(sys.executable).parent / "cookiecutter", TEMPLATE, "--no-input", "--default-config"],
        service="my-service",
        start=[["make", "run"]],
        question="/api/v1/greeting",
        test=["make", "test"],
        environment={"PORT": "0"},
    )


def peer() -> Contender:
    identity = {f"GIT_{who}_{what}": "bench@localhost" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return Contender(
        name=PEER.replace("==", " "),
        render=[PEER_COMMAND, *PEER_OPTIONS, "--ci", "none"],
        service="peer_service",
        start=[["uv", "sync", "--locked"], ["uv", "run", "-m", "peer_service"]],
        question="/api/health",
        test=["uv", "run", "pytest"],
        # Its reloader would start a second process.
        environment={**identity, "PEER_SERVICE_PORT": "0", "PEER_SERVICE_RELOAD": "False"},
    )


def install_peer(python: Path) -> None:
    """Raises FailedError."""
    if not PEER_COMMAND.exists():
        home = PEER_COMMAND.parents[1]
        run(["uv", "venv", "--quiet", "--python", python, home], SCRATCH, environment(python))
        run(["uv", "pip", "install", "--quiet", "--python", home / "bin/python", PEER], SCRATCH, environment(python))
    STAND_INS.mkdir(exist_ok=True)
    for name in ("git", "uv"):
        (STAND_INS / name).unlink(missing_ok=True)
        (STAND_INS / name).symlink_to("/bin/true")


def environment(python: Path) -> dict[str, str]:
    """This process's environment, less what would slow a contender down, help it, or make it talk."""
    kept = without_project("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    return {**kept, "UV_PYTHON": str(python), "UV_PYTHON_DOWNLOADS": "never", "PYTHONUNBUFFERED": "1"}


def run(command: Sequence[str | Path], folder: Path, variables: dict[str, str]) -> None:
    """Raises FailedError if `command` fails, is missing, or takes longer than LIMIT."""
    log = SCRATCH / "log.txt"
    try:
        with log.open("w") as output:
            subprocess.run(
                command,
                cwd=folder,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=True,
                timeout=LIMIT,
            )
    except (OSError, subprocess.SubprocessError) as error:
        raise FailedError(f"{error} {last_line(log)}".strip()) from error


def last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n") if log.exists() else []
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def cpu() -> float:
    """CPU seconds, user and system, of all processes that this one has waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(contender: Contender, python: Path) -> dict[str, float]:
    """One round: each of FIGURES. Raises FailedError."""
    variables = {**environment(python), **contender.environment}
    folder = SCRATCH / "services"
    service = folder / contender.service
    return {
        "render, CPU s": render_alone(contender, empty(folder), variables),
        **dict(zip(list(FIGURES)[1:3], render_to_first_answer(contender, empty(folder), variables), strict=True)),
        "rendered tests, wall s": wall(contender.test, service, variables),
    }


def empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def render_alone(contender: Contender, folder: Path, variables: dict[str, str]) -> float:
    before = cpu()
    # The peer's hook installs and commits the service: not rendering, so stand-ins do nothing in its place.
    run(contender.render, folder, {**variables, "PATH": f"{STAND_INS}:{variables['PATH']}"})
    return cpu() - before


def render_to_first_answer(contender: Contender, folder: Path, variables: dict[str, str]) -> tuple[float, float]:
    """Return wall and CPU seconds; the CPU's include the service's end, which is when it can be counted."""
    began, before = time.monotonic(), cpu()
    service = folder / contender.service
    run(contender.render, folder, variables)
    *preparations, serve = contender.start
    for command in preparations:
        run(command, service, variables)
    with serving(serve, service, variables) as (process, log):
        wait_for_answer(process, log, contender.question)
        seconds = time.monotonic() - began
    return seconds, cpu() - before


@contextlib.contextmanager
def serving(
    command: Sequence[str], service: Path, variables: dict[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The running service and its log; ends every process of its own group."""
    log = SCRATCH / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=service, env=variables, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process, log
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for_answer(process: subprocess.Popen[bytes], log: Path, question: str) -> None:
    """Raises FailedError when there is no 200 within LIMIT."""
    deadline = time.monotonic() + LIMIT
    while time.monotonic() < deadline and process.poll() is None:
        address = ADDRESS.search(log.read_text(encoding="utf-8", errors="replace"))
        if address and answers(address[0] + question):
            return
        time.sleep(0.02)
    raise FailedError(f"{process.args!r} did not answer {question}: {last_line(log)}")


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        raise FailedError(f"{url} answered {error.code}") from error
    except OSError:
        return False


def wall(command: Sequence[str], service: Path, variables: dict[str, str]) -> float:
    began = time.monotonic()
    run(command, service, variables)
    return time.monotonic() - began


def all_rounds(rounds: int, python: Path) -> tuple[dict[str, list[dict[str, float]]], str]:
    """Return contender → figures of each round, and why the peer's are missing (empty if they are not)."""
    contenders, reason = [ours()], ""
    try:
        install_peer(python)
        contenders.append(peer())
    except FailedError as error:
        reason = f"{PEER} could not be installed: {error}"
    measured: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + 1):
        for contender in list(contenders):
            try:
                figures = measure(contender, python)
            except FailedError as error:
                if contender.name == ours().name:
                    raise
                reason = f"{contender.name} could not be run: {error}"
                contenders.remove(contender)
                del measured[contender.name]
                continue
            say(f"{f'round {number}' if number else 'warming up'}: {contender.name}: {shown(figures)}")
            if number:
                measured[contender.name].append(figures)
    return measured, reason


def shown(figures: dict[str, float]) -> str:
    return "; ".join(f"{name} {seconds:.2f}" for name, seconds in figures.items())


def table(measured: dict[str, list[dict[str, float]]]) -> str:
    """The medians as a Markdown table; with a peer's, ratios of the medians."""
    names = list(measured)
    lines = [["", *names, *(["ratio"] if len(names) > 1 else []), "target"]]
    for figure, target in FIGURES.items():
        medians = [statistics.median(each[figure] for each in measured[name]) for name in names]
        ratio = [f"{medians[1] / medians[0]:.1f}"] if len(names) > 1 else []
        lines.append([figure, *(f"{median:.2f}" for median in medians), *ratio, target])
    lines.insert(1, ["---"] * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def newest_python() -> Path:
    """The interpreter for both: the peer needs 3.12. Without one, this process's, and the peer says so."""
    for version in ("3.13", "3.12"):
        with contextlib.suppress(LookupError):
            return interpreter(version)
    return Path(sys.executable)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds; 5 unless told")
    rounds = max(1, parser.parse_args().rounds)
    SCRATCH.mkdir(parents=True, exist_ok=True)
    python = newest_python()
    try:
        measured, reason = all_rounds(rounds, python)
    except FailedError as error:
        say(f"Our own service could not be measured: {error}")
        return 1
    say(f"\nMedians of {rounds}, {python.name}, {os.cpu_count()} CPUs.\n\n{table(measured)}")
    if reason:
        say(f"\n{reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
