"""Kill a command, or hurt it in another way, at any one of the changes that it makes below a folder.

The command runs in a fork, so that hundreds of kills take seconds. Every call that changes the disk is a point: opening
a file for writing, each write (killed, it has written half), rename, unlink, mkdir, rmdir, chmod, fsync; and each start
of another process, so that a kill falls between what the command does itself and what git or uv do.
"""

from __future__ import annotations

import builtins
import errno
import fcntl
import io
import os
import shutil
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from watching import WRITING

Action = Callable[[], tuple[int, str]]
Harm = Callable[[], None]
KILLED = -signal.SIGKILL
CALLS = ("chmod", "fchmod", "fsync", "link", "mkdir", "remove", "rename", "replace", "rmdir", "symlink", "unlink")
COMMAND_FAILED = 99  # no exit code of ours


@dataclass(frozen=True)
class End:
    """How the command ended: its exit code (negative: the signal that killed it) and what it said."""

    code: int
    said: str = ""


def kill() -> None:
    """The harm of `kill -9`."""
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt() -> None:
    """The harm of Ctrl-C."""
    raise KeyboardInterrupt


def fill_the_disk() -> None:
    """The harm of a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")


@dataclass
class Points:
    """Counts changes below `folder`, and does harm at the one of that number; at all later ones too if `lasting`.

    With `since`, it counts only from when that file is there; without `halves`, it kills between writes only.
    """

    folder: Path
    number: int
    harm: Harm
    lasting: bool = False
    since: Path | None = None
    halves: bool = True
    count: int = field(default=0, init=False)

    def reach(self, path: object, dir_fd: int | None = None) -> bool:
        """Count a change of `path`; whether harm is to be done now."""
        place = named(path, dir_fd)
        if place is None or not place.is_relative_to(self.folder) or not (self.since is None or self.since.exists()):
            return False
        self.count += 1
        return self.count == self.number or (self.lasting and self.count > self.number)

    def pass_by(self, path: object, dir_fd: int | None = None) -> None:
        if self.reach(path, dir_fd):
            self.harm()


def named(path: object, dir_fd: int | None) -> Path | None:
    """The place of a path, or of an open file or folder; None if it has none."""
    if isinstance(path, int):
        return opened_at(path)
    if not isinstance(path, (str, bytes, os.PathLike)):
        return None
    base = opened_at(dir_fd) if dir_fd is not None else Path.cwd()
    return base / os.fsdecode(path)


def opened_at(descriptor: int) -> Path:
    if sys.platform == "darwin":
        return Path(os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0")))
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def each_point(
    folder: Path,
    prepare: Callable[[], Any],
    action: Action,
    harm: Harm = kill,
    *,
    step: int = 1,
    halves: bool = True,
) -> Iterator[tuple[int, End]]:
    """Harm `action` at its first change below `folder`, then, from the start again, its second, until it gets through.

    `prepare` comes before each. Gives the number of the point and how the command ended there.
    """
    for number in range(1, 2000, step):
        prepare()
        end, count = at_point(Points(folder.resolve(), number, harm, halves=halves), action)
        if count < number:
            assert number > 1, "the command changed nothing"
            return
        yield number, end
    raise AssertionError("the command never comes to its end")


def at_point(points: Points, action: Action) -> tuple[End, int]:
    """Run `action` in a fork with the harm; return how it ended, and how many points it came to."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pytest-xdist's threads do nothing that we need
        child = os.fork()
    if child == 0:
        os.close(reading)
        _run(points, action, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as pipe:
        said = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code != COMMAND_FAILED, said
    if code < 0:
        return End(code), points.number
    count, _, said = said.partition("\n")
    return End(code, said), int(count)


def _run(points: Points, action: Action, pipe: int) -> NoReturn:
    code, said = COMMAND_FAILED, ""
    with suppress(BaseException):
        try:
            _count(points)
            code, said = action()
        except BaseException:
            said = traceback.format_exc()
    points.number, points.lasting = 0, False
    with io.FileIO(pipe, "w") as stream:
        stream.write(f"{points.count}\n{said}".encode())
    os._exit(code)


def _count(points: Points) -> None:
    """Put the counting in front of every call that changes the disk, for the rest of this process."""
    for name in CALLS:
        setattr(os, name, _counted(getattr(os, name), points))
    plain_os_open, plain_open, plain_write, popen = os.open, io.open, os.write, subprocess.Popen.__init__

    def os_open(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & WRITING:
            points.pass_by(path, dir_fd)
        return plain_os_open(path, flags, mode, dir_fd=dir_fd)

    def os_write(handle: int, data: bytes) -> int:
        if points.halves and points.reach(handle):
            plain_write(handle, data[: len(data) // 2])
            points.harm()
        return plain_write(handle, data)

    class Raw(io.FileIO):
        def write(self, data: Any) -> int:
            if points.halves and points.reach(self.fileno()):
                super().write(bytes(data)[: len(data) // 2])
                points.harm()
            return super().write(data) or 0

    def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> Any:
        if not set(mode) & set("wax+") or isinstance(file, int) or "opener" in named:
            return plain_open(file, mode, buffering, *rest, **named)
        points.pass_by(file)
        raw = io.BufferedWriter(Raw(os.fspath(file), mode.replace("b", "").replace("t", "")))
        return raw if "b" in mode else io.TextIOWrapper(raw, *rest[:3], **named)

    def started(self: Any, *arguments: Any, **named: Any) -> None:
        points.pass_by(points.folder)
        popen(self, *arguments, **named)

    os.open = os_open
    os.write = os_write  # type: ignore[assignment]
    for module in (io, builtins):
        module.open = opened  # type: ignore[attr-defined]
    subprocess.Popen.__init__ = started  # type: ignore[method-assign]
    shutil._USE_CP_SENDFILE = False  # type: ignore[attr-defined]
    sys.dont_write_bytecode = True


def _counted(call: Callable[..., Any], points: Points) -> Callable[..., Any]:
    def counted(path: Any, *arguments: Any, **named: Any) -> Any:
        points.pass_by(path, named.get("dir_fd", named.get("src_dir_fd")))
        return call(path, *arguments, **named)

    return counted
