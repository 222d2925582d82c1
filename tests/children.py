"""Processes that tests start. None outlives its test, nor does what it started: not even if pytest is killed."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

# Lives beside pytest, hears which process groups begin and end, and kills those that are left when pytest is gone.
# It learns that from the end of its input: nothing else works for a SIGKILL, and on macOS too.
KEEPER = """
import os, signal, sys

groups = set()
for line in sys.stdin:
    (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
for group in groups:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""
INHERITED = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGCHLD)

_keeper: subprocess.Popen[str] | None = None


def with_default_signals() -> None:
    """Let children have the default for signals that whoever started this process had ignored: `nohup`, a job with `&`.

    What is ignored stays so in a new program; what has a handler gets the default. Here it goes on being ignored.
    """
    for number in INHERITED:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _ignore)


def _ignore(*_: object) -> None:
    pass


@contextlib.contextmanager
def child(*command: str | Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run `command` for as long as the block lasts; then it is killed, with all that it started.

    :param options: of subprocess.Popen.
    """
    with (
        subprocess.Popen(command, text=True, encoding="utf-8", start_new_session=True, **options) as process,
        _kept(process.pid),
    ):
        try:
            yield process
        finally:
            end(process)


def end(process: subprocess.Popen[str]) -> None:
    """Kill `process`, and all that it started, before its block is over: what reads its output comes to an end."""
    _kill(process.pid, is_reaped=process.returncode is not None)
    process.wait()


@contextlib.asynccontextmanager
async def async_child(*command: str | Path, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """As `child`, with the options of asyncio.create_subprocess_exec."""
    process = await asyncio.create_subprocess_exec(*command, start_new_session=True, **options)
    with _kept(process.pid):
        try:
            yield process
        finally:
            _kill(process.pid, is_reaped=process.returncode is not None)
            await process.wait()


@contextlib.contextmanager
def _kept(group: int) -> Iterator[None]:
    _tell(f"+{group}")
    try:
        yield
    finally:
        _tell(f"-{group}")


def _tell(line: str) -> None:
    stream = _keeping().stdin
    assert stream is not None
    stream.write(f"{line}\n")
    stream.flush()


def _keeping() -> subprocess.Popen[str]:
    global _keeper
    if _keeper is None:
        command = [sys.executable, "-I", "-S", "-c", KEEPER]
        _keeper = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        atexit.register(_keeper.communicate)
    return _keeper


def _kill(group: int, *, is_reaped: bool) -> None:
    """Kill a process group, whose number is that of its first process."""
    if is_reaped and _exists(group):  # the number is another's by now
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the latter on macOS, when zombies are left
        os.killpg(group, signal.SIGKILL)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
