"""Roll a template up onto many repositories: ours, scaraplate's automatic_rollup and a loop around cruft, in one run.

Run by `make bench NAME=fleet`; ARGS="--repositories 10" is quicker. Every repository is bare, on this disk: each tool
clones, updates, commits and pushes a branch. The template and the edits are those of the benchmark of one rollup.
`--scheduler 10000` measures all that the fleet does itself, with so many services and without git.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent)]

from rollup_checks import basic_edits  # noqa: E402
from rollup_template import git  # noqa: E402
from scheduler import print_scheduler  # noqa: E402

from rollup import (  # noqa: E402
    LIMIT,
    OURS,
    SLUG,
    TOOLS,
    FailedError,
    Place,
    Tool,
    edited,
    install,
    place_for,
    rendered,
    run,
    workshop,
)

BUDGETS = {"updated": 0.35, "nothing changed": 0.15, "MiB": 150}
FLEET = """
template = "{template}"
ref = "v3"
lock = false
services = [{{ url = "git/*/{slug}.git" }}]
"""
SCARAPLATE = """
import sys
from pathlib import Path
from scaraplate.automation.base import automatic_rollup
from scaraplate.automation.git import GitCloneProjectVCS, GitCloneTemplateVCS
template, *projects = sys.argv[1:]
for project in projects:
    automatic_rollup(
        template_vcs_ctx=GitCloneTemplateVCS.clone(clone_url=template, clone_ref="v3-branch"),
        project_vcs_ctx=GitCloneProjectVCS.clone(
            clone_url=project,
            clone_ref="main",
            changes_branch="scheduled-template-update",
            commit_author="bench <bench@localhost>",
        ),
    )
"""
CRUFT = """
set -e
for project in "$@"; do
  folder=$(mktemp -d)
  git clone --quiet "$project" "$folder/pay-api"
  cd "$folder/pay-api"
  git switch --quiet --create update
  cruft update --skip-apply-ask --checkout v3
  git add --all
  git diff --cached --quiet || git commit --quiet --message update
  git push --quiet --force origin update
  cd /
  rm -rf "$folder"
done
"""


@dataclass(frozen=True, slots=True)
class Row:
    """Seconds of wall time and of CPU a repository: when all need the update, and when nothing changed since."""

    updated: float
    cpu: float
    again: float
    again_cpu: float
    peaks: tuple[float, float] = (0, 0)
    """MiB of the command itself, and of its largest worker."""


@dataclass
class Peaks:
    """The most memory, in MiB, of the command that a text in its command line tells, and of its largest worker."""

    text: str
    command: float = 0
    worker: float = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Look every so often until the end of the context."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(0.2):
            for status in Path("/proc").glob("[0-9]*/status"):
                try:
                    self._see(status)
                except OSError:  # it has ended
                    continue

    def _see(self, status: Path) -> None:
        line = (status.parent / "cmdline").read_text(errors="replace")
        told = dict(entry.split(":", 1) for entry in status.read_text().splitlines() if ":" in entry)
        peak = int(told.get("VmHWM", "0 kB").split()[0]) / 1024
        if self.text in line:
            self.command = max(self.command, peak)
        elif "spawn_main" in line and self.text in Path(f"/proc/{told['PPid'].strip()}/cmdline").read_text():
            self.worker = max(self.worker, peak)


def repositories(tool: Tool, place: Place, folder: Path, count: int) -> list[Path]:
    """Bare repositories of an edited service."""
    service = edited(rendered(tool, place, folder), "edited", folder, basic_edits)
    made = []
    for number in range(count):
        # Each in a folder of its own: scaraplate wants the service's name as the repository's.
        bare = folder / "git" / f"{number:04}" / f"{SLUG}.git"
        git(folder, "clone", "--quiet", "--bare", str(service), str(bare))
        made.append(bare)
    return made


def ours(place: Place, folder: Path, bare: Sequence[Path], jobs: int) -> list[str | Path]:
    (folder / "fleet.toml").write_text(FLEET.format(template=place.repository, slug=SLUG), encoding="utf-8")
    return [OURS / "twelvefold", "fleet", "rollup", "--fleet", folder / "fleet.toml", "--jobs", str(jobs)]


def scaraplates(place: Place, folder: Path, bare: Sequence[Path], jobs: int) -> list[str | Path]:
    git(place.repository, "branch", "--force", "v3-branch", "v3")
    (folder / "loop.py").write_text(SCARAPLATE, encoding="utf-8")
    return [_tool("scaraplate 0.5").programs / "python", folder / "loop.py", place.repository, *bare]


def crufts(place: Place, folder: Path, bare: Sequence[Path], jobs: int) -> list[str | Path]:
    (folder / "loop.sh").write_text(CRUFT, encoding="utf-8")
    return ["bash", folder / "loop.sh", *bare]


Command = Callable[[Place, Path, Sequence[Path], int], list["str | Path"]]
RUNS: dict[str, tuple[str, Command]] = {
    "ours: twelvefold fleet": ("ours: twelvefold rollup", ours),
    "scaraplate 0.5, automatic_rollup": ("scaraplate 0.5", scaraplates),
    "a loop around cruft 2.16": ("cruft 2.16", crufts),
}


def _tool(name: str) -> Tool:
    return next(tool for tool in TOOLS if tool.name == name)


def measured(name: str, folder: Path, count: int, jobs: int) -> Row:
    """One fleet, rolled up twice. Raises FailedError."""
    tool, command = _tool(RUNS[name][0]), RUNS[name][1]
    install(tool)
    place = place_for(tool, folder)
    bare = repositories(tool, place, folder, count)
    peaks = Peaks(f"{folder / 'fleet.toml'}")
    began = time.monotonic()
    with peaks.watched():
        first = run(command(place, folder, bare, jobs), folder, tool.programs, LIMIT + 3 * count)
    updated = time.monotonic() - began
    if first.exit_code not in {0, 2}:
        raise FailedError(f"{name}: {first.said.strip().splitlines()[-1:]}")
    began = time.monotonic()
    second = run(command(place, folder, bare, jobs), folder, tool.programs, LIMIT + 3 * count)
    again = time.monotonic() - began
    if second.exit_code not in {0, 2}:
        raise FailedError(f"{name}, again: {second.said.strip().splitlines()[-1:]}")
    seen = (peaks.command, peaks.worker)
    return Row(updated / count, first.cpu / count, again / count, second.cpu / count, seen)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repositories", type=int, default=30, metavar="N")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", metavar="TEXT", help="only tools whose name has it")
    parser.add_argument("--scheduler", type=int, metavar="N", help="only what is done without git, for N services")
    options = parser.parse_args()
    if options.scheduler:
        print_scheduler(options.scheduler)
        return 0
    rows: dict[str, list[Row]] = {}
    for number in range(options.rounds):
        for name in (name for name in RUNS if options.only in name):
            sys.stderr.write(f"round {number + 1}: {name}\n")
            with workshop() as folder:
                rows.setdefault(name, []).append(measured(name, folder, options.repositories, options.jobs))
    print_table(rows, options)
    return 0


def print_table(rows: dict[str, list[Row]], options: argparse.Namespace) -> None:
    say = sys.stdout.write
    rounds = f"medians of {options.rounds} rounds, seconds a repository"
    say(f"{options.repositories} repositories, {options.jobs} jobs, {rounds}\n\n")
    say("| | updated, wall | CPU | nothing changed, wall | CPU |\n| --- | --- | --- | --- | --- |\n")
    for name, measured_rounds in rows.items():
        fields = ("updated", "cpu", "again", "again_cpu")
        middle = [statistics.median(getattr(row, each) for row in measured_rounds) for each in fields]
        say(f"| {name} | {' | '.join(f'{figure:.2f}' for figure in middle)} |\n")
    mine = next((rounds for name, rounds in rows.items() if name.startswith("ours")), None)
    if mine:
        updated, again = (statistics.median(getattr(row, each) for row in mine) for each in ("updated", "again"))
        for what, figure in (("updated", updated), ("nothing changed", again)):
            verdict = "met" if figure <= BUDGETS[what] else "not met"
            say(f"\n{what}: {figure:.2f} s of ≤ {BUDGETS[what]}: {verdict}")
        command, worker = (max(row.peaks[index] for row in mine) for index in (0, 1))
        verdict = "met" if max(command, worker) <= BUDGETS["MiB"] else "not met"
        say(f"\nmemory: the command {command:.0f} MiB, a worker {worker:.0f} MiB of ≤ {BUDGETS['MiB']}: {verdict}\n")


if __name__ == "__main__":
    sys.exit(main())
