"""No process outlives the test that started it: not if it fails, hangs or is killed."""

from __future__ import annotations

import ast
import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from children import async_child, child, end
from commands import succeed
from patience import HANGS

# It is pytest itself that is started here, too.
pytestmark = pytest.mark.usefixtures("really_started")

# Its first process waits for the second, or goes on.
TWO = "sleep 1000 & echo $!; wait"
FIRST_GOES = "sleep 1000 & echo $!"
TESTS = """
import contextlib
import subprocess
import time
from pathlib import Path

import pytest

from children import child

PIDS = Path(__file__).with_name("pids")


@contextlib.contextmanager
def begun():
    with child("sh", "-c", "sleep 1000 & echo $!; wait", stdout=subprocess.PIPE) as process:
        other = process.stdout.readline().strip()
        with PIDS.open("a") as file:
            file.write(f"{other} {process.pid}\\n")
        yield


@pytest.mark.parametrize("number", range(2))
def test_that_fails(number):
    with begun():
        assert number is None


@pytest.mark.parametrize("number", range(2))
def test_that_hangs(number):
    with begun():
        time.sleep(1000)
"""


def runs(pid: int) -> bool:
    """Whether it is there, and no zombie that nobody has asked for its exit code."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return not done.stdout.strip().startswith("Z") and bool(done.stdout.strip())


def is_gone(pid: int) -> bool:
    """Wait until it is gone. What was killed may be there for a moment."""
    until = time.monotonic() + HANGS
    while runs(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not runs(pid)


@pytest.mark.parametrize("script", [TWO, FIRST_GOES])
def test_it_ends_with_its_block_and_so_does_what_it_started(script: str) -> None:
    with child("sh", "-c", script, stdout=subprocess.PIPE) as process:
        assert process.stdout
        other = int(process.stdout.readline())
        assert runs(other)
        if script == FIRST_GOES:
            assert process.wait(HANGS) == 0
    assert process.returncode == (0 if script == FIRST_GOES else -signal.SIGKILL)
    assert is_gone(other)


def test_it_may_end_before_its_block() -> None:
    with child("sh", "-c", TWO, stdout=subprocess.PIPE) as process:
        end(process)
        assert process.stdout
        process.stdout.read()  # comes to its end, which the other process held up


def test_it_ends_with_a_block_that_waits_for_something_else() -> None:
    async def begin() -> int:
        async with async_child("sh", "-c", TWO, stdout=asyncio.subprocess.PIPE) as process:
            assert process.stdout
            return int(await process.stdout.readline())

    assert is_gone(asyncio.run(begin()))


# Who starts a process that runs beside a test. Here, too, is what is a part of a process that is ended with its test.
STARTS = {"Popen", "create_subprocess_exec", "create_subprocess_shell"}
STARTERS = {"children.py", "starts.py", "chassis/process/test_workers.py", "scripts/test_serving.py"}


def test_a_process_beside_a_test_is_started_here_alone() -> None:
    found = set()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        calls = (node.func for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call))
        if STARTS & {getattr(call, "attr", getattr(call, "id", "")) for call in calls}:
            found.add(path.relative_to(Path(__file__).parent).as_posix())
    assert found == STARTERS


@pytest.fixture
def tests(tmp_path: Path) -> Path:
    (tmp_path / "test_some.py").write_text(TESTS, encoding="utf-8")
    return tmp_path


def pytest_in(tests: Path, *options: str) -> list[str]:
    where = ["-p", "xdist", "-c", os.devnull, "--rootdir", str(tests), "-p", "no:cacheprovider", str(tests)]
    return [sys.executable, "-m", "pytest", "-q", *where, *options]


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "",
    }


def pids(tests: Path, number: int) -> list[int]:
    """The processes that so many tests have started; waits for them."""
    file, until = tests / "pids", time.monotonic() + HANGS
    while len(lines := file.read_text(encoding="utf-8").splitlines() if file.exists() else []) < number:
        assert time.monotonic() < until, lines
        time.sleep(0.02)
    return [int(pid) for line in lines for pid in line.split()]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_nothing_is_left_running_by_a_test_that_fails(tests: Path, workers: str) -> None:
    done = subprocess.run(
        pytest_in(tests, "-k", "fails", "-n", workers), env=environment(), capture_output=True, text=True, check=False
    )
    assert "2 failed" in done.stdout
    left = pids(tests, 2)
    assert len(left) == 4
    assert all(map(is_gone, left))


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("workers", ["0", "2"])
def test_nothing_is_left_running_when_pytest_is_ended(tests: Path, workers: str, number: signal.Signals) -> None:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with child(*pytest_in(tests, "-k", "hangs", "-n", workers), env=environment(), **quiet) as run:
        left = pids(tests, 2 if workers == "2" else 1)
        if number == signal.SIGINT:
            os.killpg(run.pid, number)  # as a terminal does
        else:
            run.send_signal(number)
        run.wait(HANGS)
        assert all(map(is_gone, left))


SHOW = "import signal; print(*(signal.getsignal(n).name for n in (signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD)))"
RELAY = f"""
import signal, subprocess, sys
from children import with_default_signals

with_default_signals()
sys.exit(subprocess.run([sys.executable, "-c", {SHOW!r}]).returncode)
"""
IGNORING = f"""
import os, signal, sys

for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD):
    signal.signal(number, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-c", {RELAY!r}])
"""


def test_children_have_the_signals_that_whoever_started_this_had_ignored() -> None:
    said = succeed(sys.executable, "-c", IGNORING, env=environment())
    assert said.split() == ["SIG_DFL"] * 3


def test_so_does_ctrl_c() -> None:
    hangs = "import time; print(1, flush=True); time.sleep(1000)"
    relay = RELAY.replace(repr(SHOW), repr(hangs))
    ignoring = IGNORING.replace(repr(RELAY), repr(relay))
    with child(
        sys.executable, "-c", ignoring, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as it:
        assert it.stdout
        assert it.stdout.readline() == "1\n"
        os.killpg(it.pid, signal.SIGINT)
        # The one in the middle goes on ignoring it, and tells how the last one ended.
        assert it.wait(HANGS) in {130, 256 - signal.SIGINT}
