"""Starts of Python processes, as quick as they can be.

Most of what a start costs is the import of libraries. A process of a service or of a command is therefore forked from
one that has imported them, the zygote. A test that measures a start, or looks at how a process was made, starts it as
`subprocess.Popen` does: `real_starts`.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The environments in which more than one process is started.
ENVIRONMENTS = Path(__file__).parents[1] / ".cache" / "services"
ZYGOTE = Path(__file__).with_name("zygote.py")
CAN_FORK = sys.platform == "linux"
PR_SET_CHILD_SUBREAPER = 36
COMMANDS = ("cookiecutter", "scaraplate", "twelvefold")
# These rewrite, measure or judge what others import, and so want to be the first who imports anything.
FIRST_TO_IMPORT = {"coverage", "deptry", "mypy", "pytest", "ruff"}
# A process that was forked has read these already, when its parent started.
READ_AT_A_START = ("PYTHON", "LC_", "LANG", "TZ", "LD_", "MALLOC_", "OTEL_", "SSL_", "OPENSSL_", "COLUMNS", "COVERAGE_")
SET_LATER = {"PYTHONPATH", "PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
OF_A_COMMAND = (
    *("click", "cookiecutter.main", "scaraplate", "scaraplate.rollup", "yaml", "tree_sitter", "tree_sitter_toml"),
    *("tree_sitter_json", "merge3", "packaging.version", "filelock", "jinja2.sandbox", "binaryornot.check"),
)
OF_A_SERVICE = (
    *("aiohttp", "aiosqlite", "alembic.command", "alembic.config", "asyncpg", "click", "cryptography.x509", "dynaconf"),
    *(
        "fastapi",
        "fastapi.security",
        "httptools",
        "jwt",
        "msgspec",
        "nats",
        "prometheus_client",
        "prometheus_client.openmetrics",
    ),
    *(
        "pydantic",
        "pydantic.networks",
        "redis.asyncio",
        "sqlalchemy.ext.asyncio",
        "sqlalchemy.dialects.postgresql.asyncpg",
    ),
    *("sqlalchemy.dialects.sqlite.aiosqlite", "starlette.responses", "starlette.staticfiles", "uvicorn", "uvloop"),
    *("uvicorn.protocols.http.httptools_impl", "uvicorn.lifespan.on", "yaml"),
)


def prctl(option: int, value: int) -> None:
    """Set a flag of this process, which Linux alone has."""
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


class Zygote:
    """The process that forks others of one interpreter, for as long as this one lives."""

    def __init__(self, python: str, modules: Sequence[str]) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.variables = {name: value for name, value in os.environ.items() if name not in SET_LATER}
        with theirs:
            command = [python, str(ZYGOTE), str(theirs.fileno()), *modules]
            self.process = subprocess.Popen(command, env=self.variables, pass_fds=[theirs.fileno()])

    def end(self) -> None:
        self._socket.close()
        self.process.wait()

    def fits(self, variables: Mapping[str, str]) -> bool:
        """Whether a process with these is the same forked as started: nothing that is read at a start is another."""
        names = {name for name in {*variables, *self.variables} - SET_LATER if name.startswith(READ_AT_A_START)}
        return all(variables.get(name) == self.variables.get(name) for name in names)

    def fork(self, request: Mapping[str, Any], streams: Sequence[int]) -> int:
        """Return the id of the new process, which is a child of this one."""
        sent = array.array("i", streams)
        with _one_at_a_time:
            # Only for so long: a process whose parent ends is this one's child then.
            prctl(PR_SET_CHILD_SUBREAPER, 1)
            self._socket.sendmsg([json.dumps(request).encode()], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, sent)])
            told = self._socket.recv(32)
            prctl(PR_SET_CHILD_SUBREAPER, 0)
        if not told:
            raise ChildProcessError("the zygote ended; it wrote why to stderr")
        return int(told)


# Threads ask at the same time. A process that this one forks has no zygote: what that forked would be nobody's child.
_one_at_a_time = threading.Lock()
_zygotes: dict[str, Zygote] = {}
_others: list[dict[str, Zygote]] = []


@atexit.register
def end_zygotes() -> None:
    while _zygotes:
        _zygotes.popitem()[1].end()


def _leave_zygotes() -> None:
    """In a process that was forked: they are the parent's, which ends them."""
    _others.append({**_zygotes})
    _zygotes.clear()


os.register_at_fork(after_in_child=_leave_zygotes)


def zygote(python: str) -> Zygote:
    """The one of an interpreter; it begins when it is first asked for, and ends with this process."""
    with _one_at_a_time:
        if python not in _zygotes:
            _zygotes[python] = _begin(python)
        return _zygotes[python]


def _begin(python: str) -> Zygote:
    return Zygote(python, OF_A_SERVICE if Path(python).is_relative_to(ENVIRONMENTS) else OF_A_COMMAND)


class Forked(subprocess.Popen[Any]):
    """A Python process that was forked: `Forked([python, "-m", module, ...], env=...)`, else as `subprocess.Popen`."""

    def _execute_child(  # what Popen calls when all pipes are made
        self,
        args: Sequence[str | Path],
        executable: None,
        preexec_fn: None,
        close_fds: bool,
        pass_fds: Sequence[int],
        cwd: str | Path | None,
        env: Mapping[str, str] | None,
        startupinfo: None,
        creationflags: int,
        shell: bool,
        p2cread: int,
        p2cwrite: int,
        c2pread: int,
        c2pwrite: int,
        errread: int,
        errwrite: int,
        restore_signals: bool,
        gid: None,
        gids: None,
        uid: None,
        umask: int,
        start_new_session: bool,
        process_group: int,
    ) -> None:
        streams = [own if given == -1 else given for own, given in ((0, p2cread), (1, c2pwrite), (2, errwrite))]
        request = {
            "arguments": [os.fspath(argument) for argument in args[1:]],
            "folder": os.fspath(cwd or Path.cwd()),
            "variables": dict(os.environ if env is None else env),
            "new_session": start_new_session,
            "group": process_group,
            "parent": os.getpid(),
        }
        try:
            self.pid = zygote(os.fspath(args[0])).fork(request, streams)
            self._child_created = True
        finally:
            self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)  # type: ignore[attr-defined]


def is_customized(variables: Mapping[str, str]) -> bool:
    """Whether a module of the path is run at the start of Python itself."""
    path = filter(None, variables.get("PYTHONPATH", "").split(os.pathsep))
    return any(Path(folder, f"{name}customize.py").exists() for folder in path for name in ("site", "user"))


@dataclass
class _Now:
    are_real: bool = not CAN_FORK


_now = _Now()


@contextlib.contextmanager
def real_starts() -> Iterator[None]:
    """For tests that measure a start, or look at what only a process with an interpreter of its own has."""
    before, _now.are_real = _now.are_real, True
    try:
        yield
    finally:
        _now.are_real = before


def start(command: Sequence[str | Path], **how: Any) -> subprocess.Popen[Any]:
    """As `subprocess.Popen`; a Python process is forked where that gives the same."""
    asked = [os.fspath(part) for part in command]
    variables = how.get("env") or os.environ
    script = shutil.which(asked[0], path=variables.get("PATH")) if asked[0] in COMMANDS else None
    if script and Path(script).parent == Path(sys.executable).parent:
        asked = [sys.executable, script, *asked[1:]]
    is_ours = asked[0] == sys.executable or Path(asked[0]).is_relative_to(ENVIRONMENTS)
    runs = len(asked) > 1 and (asked[1] in ("-m", "-c") or asked[1] == script)
    runs = runs and FIRST_TO_IMPORT.isdisjoint(asked[2:3])
    if _now.are_real or not (is_ours and runs) or is_customized(variables) or not zygote(asked[0]).fits(variables):
        return subprocess.Popen(command, **how)
    return Forked(asked, **how)
