"""A Python that has imported the libraries, and forks a process of whatever it is asked to run: see `children`.

Run as `python zygote.py SOCKET MODULE...`. Each request comes with the three standard streams. A process that it forks
has arguments, variables, a folder and signals of its own, and imports the code under test itself. Only the modules of
the libraries are there already; to import those is most of a start.
"""

from __future__ import annotations

import array
import ctypes
import gc
import importlib
import io
import json
import os
import random
import runpy
import signal
import socket
import sys
import time
import types
from typing import Any

LARGEST = 1 << 20
PR_SET_PDEATHSIG = 1
BASE = [path for path in sys.path if path != os.path.dirname(os.path.abspath(__file__))]  # noqa: PTH100, PTH120


def main() -> None:
    """Answer each request with the id of a new process, until whoever asks is gone. In that process, run it."""
    asks = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # of a part that this environment does not have
    gc.collect()
    gc.freeze()
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # a Ctrl-C is for those who run
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    while True:
        message, streams = receive(asks)
        if not message:
            return
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            begin(json.loads(message), asks, streams, told, tell)
            return
        for descriptor in (tell, *streams):
            os.close(descriptor)
        os.waitpid(child, 0)
        asks.send(os.read(told, 32))
        os.close(told)


def receive(asks: socket.socket) -> tuple[bytes, list[int]]:
    """A request, and the descriptors that came with it."""
    message, ancillary, _, _ = asks.recvmsg(LARGEST, socket.CMSG_SPACE(3 * array.array("i").itemsize))
    streams = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            streams.frombytes(data)
    return message, [*streams]


def begin(request: dict[str, Any], asks: socket.socket, streams: list[int], told: int, tell: int) -> None:
    """Become the process that was asked for. Its parent ends at once, so that it is the child of who asked."""
    between = os.getpid()
    if os.fork():
        os._exit(0)
    os.write(tell, str(os.getpid()).encode())
    while os.getppid() == between:
        time.sleep(0.001)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != request["parent"]:  # who asked is gone, maybe before the line above: nobody would ever end it
        os._exit(1)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    asks.close()
    for descriptor in (told, tell, *streams):
        os.close(descriptor)
    if request["new_session"]:
        os.setsid()
    if request["group"] >= 0:
        os.setpgid(0, request["group"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["variables"])
    random.seed()
    open_streams()
    run(request["arguments"])


def open_streams() -> None:
    """The standard streams as Python opens them."""
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        as_at_the_start = getattr(sys, name)
        raw: Any = io.FileIO(number, "w" if number else "r", closefd=False)
        raw.name = f"<{name}>"
        stream = io.TextIOWrapper(
            io.BufferedWriter(raw) if number else io.BufferedReader(raw),
            encoding=as_at_the_start.encoding,
            errors=as_at_the_start.errors,
            line_buffering=name == "stderr" and not unbuffered,
            write_through=bool(number) and unbuffered,
        )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run(arguments: list[str]) -> None:
    """What Python does with `-m MODULE ...`, `-c CODE ...` or `PATH/TO/SCRIPT ...`, with PYTHONPATH and the others."""
    sys.dont_write_bytecode = bool(os.environ.get("PYTHONDONTWRITEBYTECODE"))
    sys.pycache_prefix = os.environ.get("PYTHONPYCACHEPREFIX") or None
    added = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    kind, *others = arguments
    first = {"-m": os.getcwd(), "-c": ""}.get(kind, os.path.dirname(kind))  # noqa: PTH109, PTH120
    sys.path[:] = [first, *added, *BASE]
    sys.path_importer_cache.clear()
    sys.orig_argv[:] = [sys.executable, *arguments]
    if kind == "-m":
        sys.argv[:] = others
        runpy.run_module(others[0], run_name="__main__", alter_sys=True)
    elif kind == "-c":
        sys.argv[:] = ["-c", *others[1:]]
        module = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(others[0], "<string>", "exec"), module.__dict__)  # noqa: S102 - what a test asked for
    else:
        sys.argv[:] = arguments
        runpy.run_path(kind, run_name="__main__")


if __name__ == "__main__":
    main()
