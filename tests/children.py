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

from starts import start

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
        start(command, text=True, encoding="utf-8", process_group=0, **options) as process,
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


class Awaited:
    """A process of `start`, waited for as asyncio does."""

    def __init__(self, process: subprocess.Popen[Any]) -> None:
        self._process = process
        self.pid = process.pid
        self.send_signal, self.terminate, self.kill = process.send_signal, process.terminate, process.kill

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    async def wait(self) -> int:
        while (code := self._process.poll()) is None:  # noqa: ASYNC110 - of a process there is no event
            await asyncio.sleep(0.005)
        return code


@contextlib.asynccontextmanager
async def async_child(*command: str | Path, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """As `child`, with the options of asyncio.create_subprocess_exec."""
    has_pipes = asyncio.subprocess.PIPE in options.values()
    process: Any = (
        await asyncio.create_subprocess_exec(*command, process_group=0, **options)
        if has_pipes
        else Awaited(start(command, process_group=0, **options))
    )
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
