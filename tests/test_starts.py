"""A process that was forked is as one that was started, but for the libraries that it finds imported."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import starts
from commands import Done, run
from starts import Forked, real_starts, start

pytestmark = pytest.mark.skipif(not starts.CAN_FORK, reason="needs Linux, which hands a forked process to who asked")

TELL = """
import json, os, signal, sys, threading
signals = signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE
streams = sys.stdin, sys.stdout, sys.stderr
told = {
    "arguments": [sys.argv, sys.orig_argv, sys.executable],
    "bytecode": [sys.pycache_prefix, sys.dont_write_bytecode],
    "descriptors": sorted(os.listdir("/proc/self/fd"))[:3],
    "folder": os.getcwd(),
    "main": [__name__, sys.modules["__main__"].__dict__ is globals()],
    "path": sys.path,
    "processes": [os.getpgid(0) == os.getpgid(os.getppid()), os.getppid(), threading.active_count()],
    "signals": [str(signal.getsignal(number)) for number in signals],
    "streams": [(stream.name, stream.encoding, stream.errors, stream.line_buffering) for stream in streams],
    "typed": sys.stdin.read(),
    "variables": dict(os.environ),
}
print(json.dumps(told, indent=1))
print("é", file=sys.stderr)
sys.exit(3)
"""


def both(*command: str | Path, **variables: str) -> tuple[Done, Done]:
    """What a command does started and forked."""
    environment = {**os.environ, **variables}
    with real_starts():
        started = run(*command, env=environment, typed="typed")
    return started, run(*command, env=environment, typed="typed")


@pytest.mark.parametrize("how", ["code", "module", "package"])
def test_it_finds_what_a_started_one_finds(how: str, tmp_path: Path) -> None:
    (tmp_path / "told").mkdir()
    for path in ("telling.py", "told/__main__.py"):
        (tmp_path / path).write_text(TELL, encoding="utf-8")
    command = {"code": ("-c", TELL), "module": ("-m", "telling"), "package": ("-m", "told")}[how]
    started, forked = both(sys.executable, *command, "an", "argument", PYTHONPATH=str(tmp_path), OWN="é")
    assert started.stdout.startswith('{\n "arguments"')
    assert forked.stdout.splitlines() == started.stdout.splitlines()
    assert (forked.stderr, forked.returncode) == ("é\n", 3)


def test_a_command_s_script_is_run_by_its_name() -> None:
    started, forked = both("twelvefold", "rollup", "--nonsense")
    assert started.stderr.startswith("Usage: twelvefold rollup")
    assert (forked.stderr, forked.returncode) == (started.stderr, 2)


def test_it_is_forked_and_imports_the_code_under_test_anew() -> None:
    code = (
        "import sys, os; print('yaml' in sys.modules, [name for name in sys.modules if name.startswith('twelvefold')])"
    )
    with real_starts():
        assert run(sys.executable, "-c", code).stdout == "False []\n"
    with start([sys.executable, "-c", ""]) as process:
        assert isinstance(process, Forked)
    assert run(sys.executable, "-c", code).stdout == "True []\n"


@pytest.mark.parametrize("variable", ["PYTHONHASHSEED", "LC_ALL", "TZ", "OTEL_PROPAGATORS", "PYTHONWARNINGS"])
def test_with_a_variable_that_is_read_at_a_start_it_is_started(variable: str) -> None:
    with start([sys.executable, "-c", ""], env={**os.environ, variable: "0"}) as process:
        assert not isinstance(process, Forked)


def test_where_python_is_customized_it_is_started(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('customized')\n", encoding="utf-8")
    done = run(sys.executable, "-c", "print('run')", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert done.stdout == "customized\nrun\n"


@pytest.mark.parametrize("tool", sorted(starts.FIRST_TO_IMPORT))
def test_a_tool_that_rewrites_or_measures_imports_is_started(tool: str) -> None:
    """A forked pytest finds a library imported, and warns that it cannot rewrite it."""
    how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with start([sys.executable, "-m", tool, "--version"], **how) as process:
        assert not isinstance(process, Forked)


def test_many_threads_may_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And each has the exit code of its own process, with the first zygote of all."""
    monkeypatch.setattr(starts, "_zygotes", {})
    with ThreadPoolExecutor(8) as pool:
        codes = pool.map(lambda code: run(sys.executable, "-c", f"raise SystemExit({code})").returncode, range(16))
    assert list(codes) == [*range(16)]
    (only,) = starts._zygotes.values()
    only.end()


def test_two_draw_other_numbers() -> None:
    code = "import random; print(random.getrandbits(128))"
    assert len({run(sys.executable, "-c", code).stdout for _ in range(3)}) == 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_ends_it(number: signal.Signals) -> None:
    code = "print('begun', flush=True); import time; time.sleep(60)"
    with start([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout
        process.stdout.readline()
        process.send_signal(number)
        assert process.wait(60) == -number


def test_a_traceback_is_told_and_the_code_is_one() -> None:
    done = run(sys.executable, "-c", "raise LookupError('gone')")
    assert done.returncode == 1
    assert done.stderr.endswith("LookupError: gone\n")


def test_a_session_of_its_own_is_one() -> None:
    code = "import os; print(os.getsid(0) == os.getpid())"
    with start([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.communicate()[0] == "True\n"


def test_it_ends_with_who_asked_for_it() -> None:
    """Even if that was killed, and nobody was left to end it."""
    code = """
import sys, starts
asleep = starts.start([sys.executable, "-c", "import time; time.sleep(60)"])
print(asleep.pid, flush=True)
input()
"""
    with (
        real_starts(),
        start(
            [sys.executable, "-c", code],
            cwd=Path(starts.__file__).parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdout
        pid = int(process.stdout.readline())
        os.kill(pid, 0)
        process.kill()
    deadline = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
