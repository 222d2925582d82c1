"""Roll one template up onto one service with each tool, side by side: what was lost, and what it took.

Run by `make bench NAME=rollup`; ARGS="--rounds 1" takes about a minute. Peers are installed, at the versions below,
into environments of their own under .cache/; one that cannot be installed is left out by name.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scripts")]

from rollup_checks import BASIC, HARD, Check, Result, basic_edits, failed, hard_edits  # noqa: E402
from rollup_template import CHASSIS, ROOT, commit, git, make  # noqa: E402

from rendered import without_project  # noqa: E402

CACHE = ROOT / ".cache/bench-rollup"
OURS = Path(sys.executable).parent
SERVICES = 6  # in one process, the first of which is not counted
LIMIT = 300  # seconds, for any one command
SLUG = "pay-api"
GITCONFIG = """[user]
    name = bench
    email = bench@localhost
[init]
    defaultBranch = main
[advice]
    detachedHead = false
"""
# copier 9.19 asks `git checkout` for an option that git has since 2.43.
GIT_WITH_OPTION = """#!/bin/sh
for argument do
    shift
    [ "$argument" = --end-of-options ] || set -- "$@" "$argument"
done
exec {git} "$@"
"""
WRITES = re.compile(r'\bopen(?:at)?\((?:AT_FDCWD<(?P<folder>[^>]*)>, )?"(?P<path>[^"]+)", [^)]*O_(?:WRONLY|RDWR)')
RENAMES = re.compile(r'\brename(?:at2?)?\(.*(?:AT_FDCWD<(?P<folder>[^>]*)>, )?"(?P<path>[^"]+)"(?:, [\w|]+)?\) = 0')

BUDGETS = {"a rollup": 0.96, "--check": 0.4, "nothing to do": 0.4, "status": 0.4, "in process, a service": 0.08}


class FailedError(Exception):
    """A tool that could not be installed or run: why, in one line."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tool finds the template: its repository, and clones of it at v1 and v3."""

    repository: Path
    old: Path
    new: Path


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool, with the commands that its own documentation gives."""

    name: str
    dialect: str
    requirements: Sequence[str]
    render: Callable[[Path, Place, Path], Sequence[str | Path]]
    update: Callable[[Path, Place, Path], Sequence[str | Path]]
    driver: str  # Python that updates `service` to v3; `place` has the template
    setup: str = ""

    @property
    def programs(self) -> Path:
        """The folder of its commands."""
        return CACHE / "tools" / self.name.replace(" ", "-") / "bin" if self.requirements else OURS


def _scaraplate_render(programs: Path, place: Place, service: Path) -> Sequence[str | Path]:
    return [programs / "scaraplate", "rollup", place.old, service, "--no-input"]


def _scaraplate_update(programs: Path, place: Place, service: Path) -> Sequence[str | Path]:
    return [programs / "scaraplate", "rollup", place.new, service, "--no-input"]


SCARAPLATE_DRIVER = "from scaraplate import rollup; rollup(place['new'], service, no_input=True)"
OUR_DRIVER = (
    "from click.testing import CliRunner; from twelvefold.cli import main; "
    "done = CliRunner().invoke(main, ['rollup', service, '--template', place['repository'], '--ref', 'v3', "
    "'--no-lock']); assert done.exit_code in (0, 2), done.output"
)
TOOLS = (
    Tool(
        "scaraplate 0.5",
        "scaraplate",
        ["scaraplate==0.5", "cookiecutter==2.7.1", "setuptools<80.9", "marshmallow<4"],
        _scaraplate_render,
        _scaraplate_update,
        SCARAPLATE_DRIVER,
    ),
    Tool(
        "cruft 2.16",
        "cruft",
        ["cruft==2.16.0", "cookiecutter==2.7.1"],
        lambda programs, place, service: [
            *(programs / "cruft", "create", place.repository, "--checkout", "v1", "--no-input"),
            *("--output-dir", service.parent),
        ],
        lambda programs, place, service: [
            *(programs / "cruft", "update", "--skip-apply-ask", "--checkout", "v3", "--project-dir", service)
        ],
        "from pathlib import Path; from cruft import update; "
        "assert update(Path(service), skip_apply_ask=True, checkout='v3')",
    ),
    Tool(
        "copier 9.19",
        "copier",
        ["copier==9.19.0"],
        lambda programs, place, service: [
            *(programs / "copier", "copy", "--defaults", "--vcs-ref", "v1", place.repository, service)
        ],
        lambda programs, place, service: [
            *(programs / "copier", "update", "--defaults", "--vcs-ref", "v3", service),
        ],
        "from copier import run_update; run_update(service, vcs_ref='v3', defaults=True, overwrite=True, quiet=True)",
    ),
    Tool(
        "ours: scaraplate rollup",
        "ours",
        [],
        _scaraplate_render,
        _scaraplate_update,
        SCARAPLATE_DRIVER,
    ),
    Tool(
        "ours: twelvefold rollup",
        "ours",
        [],
        _scaraplate_render,
        lambda programs, place, service: [
            *(programs / "twelvefold", "rollup", service, "--template", place.repository, "--ref", "v3", "--no-lock")
        ],
        OUR_DRIVER,
        "from twelvefold.engine.rendering.checkouts import keeping_checkouts; "
        "kept = keeping_checkouts(); kept.__enter__()",
    ),
)
DRIVER = """
import contextlib, io, json, os, resource, sys
place = json.loads(sys.argv[1])
def cpu():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
{setup}
for service in sys.argv[2:]:
    before = cpu()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        {driver}
    print(cpu() - before)
"""


@dataclass(frozen=True, slots=True)
class Done:
    """A command that ended: all it printed, its exit code, its CPU seconds with those of all that it started."""

    said: str
    exit_code: int
    cpu: float


@dataclass(slots=True)
class Row:
    """What one tool did."""

    basic: list[str] = field(default_factory=list)
    hard: list[str] = field(default_factory=list)
    exit_codes: tuple[int, int] = (0, 0)
    cpu: float = 0
    in_process: float = 0
    written: tuple[int | None, int | None] = (None, None)


@cache
def environment() -> dict[str, str]:
    """This process's environment, with a home of its own, and without what would slow a tool down or help it."""
    home = CACHE / "home"
    home.mkdir(parents=True, exist_ok=True)
    (home / ".gitconfig").write_text(GITCONFIG)
    return {
        **without_project("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"),
        "TWELVEFOLD_QUIET": "1",
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home),
    }


def add_git(programs: Path) -> None:
    """Beside copier, put a git that takes what copier asks for, if the machine's own is too old."""
    program = shutil.which("git") or "git"
    version = subprocess.run([program, "version"], capture_output=True, text=True, check=True).stdout
    if tuple(int(number) for number in re.findall(r"\d+", version)[:2]) < (2, 43):
        (programs / "git").write_text(GIT_WITH_OPTION.format(git=program))
        (programs / "git").chmod(0o755)


def run(command: Sequence[str | Path], folder: Path, programs: Path = OURS, seconds: int = LIMIT) -> Done:
    """Run `command` in `folder`, with `programs` first in the PATH.

    Raises FailedError if it cannot be started or takes longer than `seconds`.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                ["timeout", str(seconds), *command],
                cwd=folder,
                env={**environment(), "PATH": f"{programs}:{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        except OSError as error:
            raise FailedError(f"{command[0]}: {error.strerror}") from error
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode(errors="replace")
    if process.returncode == 124:
        raise FailedError(f"{Path(command[0]).name} did not end within {seconds} s.")
    return Done(said, process.returncode, used.ru_utime + used.ru_stime)


def install(tool: Tool) -> None:
    """Put a peer into an environment of its own, once. Raises FailedError."""
    home = tool.programs.parent
    if not tool.requirements or (home / "complete").exists():
        return
    shutil.rmtree(home, ignore_errors=True)
    commands: list[list[str | Path]] = [
        ["uv", "venv", "--quiet", "--python", sys.executable, home],
        ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", home / "bin/python", *tool.requirements],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = done.stderr.strip().splitlines() or ["uv failed"]
            raise FailedError(f"{tool.name} could not be installed: {reason[-1].strip()}")
    if tool.dialect == "copier":
        add_git(tool.programs)
    (home / "complete").touch()


@contextmanager
def workshop() -> Iterator[Path]:
    """A folder for services, on the disk that users have theirs on."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        yield Path(folder)


def place_for(tool: Tool, folder: Path) -> Place:
    """The template in the tool's dialect."""
    repository = make(tool.dialect, folder / "template")
    place = Place(repository, folder / "old/template", folder / "new/template")
    for clone, tag in ((place.old, "v1"), (place.new, "v3")):
        git(folder, "clone", "--quiet", str(repository), str(clone))
        git(clone, "checkout", "--quiet", "--detach", tag)
    return place


def rendered(tool: Tool, place: Place, folder: Path) -> Path:
    """A service at v1, committed. Raises FailedError."""
    service = folder / "rendered" / SLUG
    service.parent.mkdir(parents=True)
    done = run(tool.render(tool.programs, place, service), folder, tool.programs)
    if done.exit_code or not (service / "pyproject.toml").is_file():
        raise FailedError(f"{tool.name} could not render: {done.said.strip().splitlines()[-1:]}")
    commit(service, "Rendered")
    return service


def edited(service: Path, name: str, folder: Path, edits: Callable[[Path], None]) -> Path:
    """A copy of the service with the team's edits, committed."""
    copy = folder / name / SLUG
    shutil.copytree(service, copy, symlinks=True)
    edits(copy)
    commit(copy, "The team's")
    return copy


def copied(service: Path, folder: Path, name: str) -> Path:
    """One more of the same."""
    return Path(shutil.copytree(service, folder / name / SLUG, symlinks=True))


def updated(tool: Tool, place: Place, service: Path) -> Done:
    """Roll the service up to v3."""
    return run(tool.update(tool.programs, place, service), service, tool.programs)


def judged(done: Done, service: Path, checks: Mapping[str, Check]) -> list[str]:
    return failed(checks, Result(service, done.said, done.exit_code))


def in_process(tool: Tool, place: Place, services: Sequence[Path], folder: Path) -> float:
    """CPU seconds a service after the first, many in one process. Raises FailedError."""
    script = folder / "driver.py"
    script.write_text(DRIVER.format(setup=tool.setup, driver=tool.driver))
    where = json.dumps({"repository": str(place.repository), "new": str(place.new)})
    done = run([tool.programs / "python", script, where, *services], folder, tool.programs)
    figures = [float(line) for line in done.said.splitlines() if re.fullmatch(r"[\d.e-]+", line)]
    if len(figures) != len(services):
        raise FailedError(f"{tool.name} in one process: {done.said.strip().splitlines()[-1:]}")
    return statistics.median(figures[1:])


def written(tool: Tool, place: Place, service: Path, folder: Path) -> int | None:
    """How many of the service's files a rollup opens for writing or replaces by a rename; None without strace."""
    if not shutil.which("strace"):
        return None
    log = folder / "strace.txt"
    calls = "open,openat,creat,rename,renameat,renameat2"
    options: list[str | Path] = ["--follow-forks", "-y", "-s", "4096", "-e", f"trace={calls}", "-o", log]
    run(["strace", *options, *tool.update(tool.programs, place, service)], service, tool.programs)
    return len(set(paths_written(log.read_text(errors="replace"), service)))


def paths_written(log: str, service: Path) -> Iterator[str]:
    """The paths below `service`, and outside of git's folder, that strace's `log` has opened or replaced."""
    for line in log.splitlines():
        found = None if " = -1 " in line else WRITES.search(line) or RENAMES.search(line)
        if not found:
            continue
        path = Path(os.path.normpath(Path(found["folder"] or service) / found["path"]))
        if path.is_relative_to(service) and ".git" not in path.relative_to(service).parts:
            yield str(path.relative_to(service))


def measure(tool: Tool, folder: Path, rounds: int) -> Row:
    """Everything about one tool. Raises FailedError."""
    install(tool)
    place = place_for(tool, folder)
    plain = rendered(tool, place, folder)
    basic = edited(plain, "basic", folder, basic_edits)
    hard = edited(plain, "hard", folder, hard_edits)
    trials = [copied(basic, folder, f"trial-{number}") for number in range(rounds + 1)]  # the first is not counted
    done = [updated(tool, place, trial) for trial in trials]
    many = [copied(basic, folder, f"many-{number}") for number in range(SERVICES)]
    row = Row(cpu=statistics.median(each.cpu for each in done[1:]), basic=judged(done[0], trials[0], BASIC))
    row.in_process = in_process(tool, place, many, folder)
    of_hard = updated(tool, place, hard)
    row.hard = judged(of_hard, hard, HARD)
    row.exit_codes = (done[0].exit_code, of_hard.exit_code)
    row.written = written_twice(tool, place, copied(basic, folder, "traced"), folder)
    return row


def written_twice(tool: Tool, place: Place, service: Path, folder: Path) -> tuple[int | None, int | None]:
    first = written(tool, place, service, folder)
    commit(service, "Rolled up")
    return first, written(tool, place, service, folder)


def line(name: str, row: Row) -> list[str]:
    """A row of the table."""
    lost = [*row.basic, *(f"{check} (hard)" for check in row.hard if check not in row.basic)]
    return [
        name,
        f"{len(BASIC) - len(row.basic)} of {len(BASIC)}",
        f"{len(HARD) - len(row.hard)} of {len(HARD)}",
        "; ".join(lost) or "nothing",
        " / ".join(map(str, row.exit_codes)),
        f"{row.cpu:.2f}",
        f"{row.in_process:.2f}",
        " / ".join("?" if count is None else str(count) for count in row.written),
    ]


HEADINGS = [
    *("tool", "basic", "hard", "lost, broke or left stale", "exit code, basic / hard", "CPU s, command"),
    *("CPU s, in process", "files written, first / second run"),
]


def table(headings: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    return "\n".join(f"| {' | '.join(each)} |" for each in (headings, ["---"] * len(headings), *lines))


# --- this template itself, within its budgets -------------------------------------------------------------------


def of_this_template(folder: Path, rounds: int) -> dict[str, float]:
    """CPU seconds of each of BUDGETS, on a service of this repository's own template, one version behind."""
    place = Place(folder / "template", folder / "old/template", folder / "template")
    git(folder, "clone", "--quiet", "--no-local", str(ROOT), str(place.repository))
    git(place.repository, "tag", "v1")
    git(folder, "clone", "--quiet", str(place.repository), str(place.old))
    later(place.repository)
    git(place.repository, "tag", "v3")
    ours = TOOLS[-1]
    service = rendered(ours, place, folder)
    basic = edited(service, "basic", folder, edits_of_this_template)
    trials = [copied(basic, folder, f"trial-{number}") for number in range(rounds + 1)]
    rollup = [updated(ours, place, trial) for trial in trials]
    for trial in trials:
        commit(trial, "Rolled up")
    options: list[str | Path] = ["--template", place.repository, "--ref", "v3"]
    commands: dict[str, list[str | Path]] = {
        "--check": ["rollup", trials[0], *options, "--check"],
        "nothing to do": ["rollup", trials[0], *options, "--no-lock"],
        "status": ["status", trials[0], "--template", place.repository],
    }
    many = [copied(basic, folder, f"many-{number}") for number in range(SERVICES)]
    figures = {"a rollup": statistics.median(each.cpu for each in rollup[1:])}
    for name, arguments in commands.items():
        done = [run([OURS / "twelvefold", *arguments], folder) for _ in range(rounds + 1)]
        if done[0].exit_code not in {0, 1}:
            raise FailedError(f"{name}: {done[0].said.strip()}")
        figures[name] = statistics.median(each.cpu for each in done[1:])
    return {**figures, "in process, a service": in_process(ours, place, many, folder)}


def later(template: Path) -> None:
    """Change an owned and a merged file, as a release does."""
    project = template / "<<cookiecutter.project_slug>>"
    with (project / f"{CHASSIS}/__init__.py").open("a") as file:
        file.write("# One more line.\n")
    pyproject = project / "pyproject.toml"
    pyproject.write_text(pyproject.read_text().replace("line-length = 120", "line-length = 119"))
    commit(template, "Later")


def edits_of_this_template(service: Path) -> None:
    with (service / "README.md").open("a") as file:
        file.write("\nOf the team.\n")


def say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="measured rounds; 5 unless told")
    rounds = max(1, parser.parse_args().rounds)
    lines, missing = [], []
    for tool in TOOLS:
        try:
            with workshop() as folder:
                lines.append(line(tool.name, measure(tool, folder, rounds)))
        except FailedError as error:
            missing.append(f"{tool.name} is left out: {error}")
            continue
        say(f"{tool.name}: {'; '.join(lines[-1][1:])}")
    with workshop() as folder:
        figures = of_this_template(folder, rounds)
    say(f"\nMedians of {rounds}, {os.cpu_count()} CPUs; {len(BASIC)} basic and {len(HARD)} hard checks.")
    say(f"\n{table(HEADINGS, lines)}\n")
    budgets = [[name, f"{figures[name]:.2f}", f"≤ {budget}"] for name, budget in BUDGETS.items()]
    say(table(["this template, CPU s", "measured", "budget"], budgets))
    say("\n".join(["", *missing]) if missing else "")
    return 0


if __name__ == "__main__":
    sys.exit(main())
