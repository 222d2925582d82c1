"""Measure all hooks of a new service once their caches are warm, under prek and beside it pre-commit.

Run by `make bench NAME=hooks`; ARGS="--rounds 1" for a look. The service has GitHub's pipeline, whose hooks are the
most. An unmeasured round installs the hooks. Prints a Markdown table of medians, with the least and the most.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TEMPLATE / "tests"), str(TEMPLATE / "scripts")]

from commands import succeed  # noqa: E402
from environments import CACHE, service_python, without_project  # noqa: E402
from rendered import render  # noqa: E402

RUNNERS = ("prek", "pre-commit")


def cpu() -> float:
    """CPU seconds, user and system, of all processes that this one has waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def committed(folder: Path) -> Path:
    """A new service whose .venv is the one that all tests share."""
    service = render(folder, ci="github")
    (service / ".venv").symlink_to(service_python().parents[1])
    shutil.copy(CACHE / "default" / "uv.lock", service)
    identity = ["-c", "user.name=Bench", "-c", "user.email=bench@localhost"]
    for command in (["init", "--quiet"], ["add", "--all"], [*identity, "commit", "--quiet", "-m", "chore: render"]):
        succeed("git", *command, cwd=service)
    return service


def measure(runner: str, service: Path) -> float:
    """CPU seconds of all hooks on all files."""
    variables = {**without_project(), "MYPY_CACHE_DIR": str(CACHE / "mypy-hooks")}
    before = cpu()
    succeed(service / ".venv" / "bin" / runner, "run", "--all-files", cwd=service, env=variables)
    return cpu() - before


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds; 5 unless told")
    rounds = max(1, parser.parse_args().rounds)
    measured: dict[str, list[float]] = {runner: [] for runner in RUNNERS}
    with tempfile.TemporaryDirectory() as folder:
        service = committed(Path(folder))
        for number in range(rounds + 1):
            for runner in RUNNERS:
                seconds = measure(runner, service)
                sys.stdout.write(f"{f'round {number}' if number else 'warming up'}: {runner}: {seconds:.2f}\n")
                sys.stdout.flush()
                if number:
                    measured[runner].append(seconds)
    sys.stdout.write("\n| all hooks, CPU s | median | least | most |\n| --- | --- | --- | --- |\n")
    for runner, seen in measured.items():
        sys.stdout.write(f"| {runner} | {statistics.median(seen):.2f} | {min(seen):.2f} | {max(seen):.2f} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
