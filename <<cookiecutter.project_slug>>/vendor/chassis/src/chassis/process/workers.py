"""Several processes on one machine: a parent that holds the listener, and workers that accept from it.

For machines without an orchestrator; elsewhere one process a container is the rule. The workers are fresh
interpreters that run the parent's own command. They share one listening socket: with a socket each (SO_REUSEPORT),
connections that wait for a worker are lost when it dies.
"""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge

from ..settings import Settings
from ..telemetry.process_group import (
    FOLDER_VARIABLE,
    PARENT,
    WORKER_VARIABLE,
    Place,
    ProcessGroup,
    forget_worker,
    unsummed,
)

GIVEN_UP = 3
CUT_SHORT = 1
STEADY_SECONDS = 10.0
"""A worker that lived so long did not fail to start: its end is not part of a crash loop."""
MOST_FAILURES = 5
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0

log = logging.getLogger("chassis.workers")


def supervise(
    listeners: list[socket.socket], *, settings: Settings, deadline: float, announce: Callable[[], None]
) -> int:
    """Keep `settings.web_concurrency` workers running until a signal ends them. Return the exit code.

    :param listeners: closed when the end begins.
    :param deadline: how long the end may take before workers are killed, in seconds.
    :param announce: called when all workers serve for the first time.
    """
    with _shared_folder() as folder:
        supervisor = Supervisor(listeners, settings=settings, folder=folder, deadline=deadline, announce=announce)
        return asyncio.run(supervisor.run())


def group(name: str) -> ProcessGroup:
    """The group that this worker belongs to."""
    return ProcessGroup(Path(os.environ[FOLDER_VARIABLE]), name)


def follow_parent(lifeline: socket.socket, *, orphaned: Callable[[], None]) -> None:
    """Tell the parent that this worker serves; call `orphaned` when the parent is gone."""

    def hung_up() -> None:
        asyncio.get_running_loop().remove_reader(lifeline)
        orphaned()

    lifeline.setblocking(False)
    with contextlib.suppress(OSError):
        lifeline.send(b"+")
    asyncio.get_running_loop().add_reader(lifeline, hung_up)


class Supervisor:
    """The parent of the workers."""

    def __init__(
        self,
        listeners: list[socket.socket],
        *,
        settings: Settings,
        folder: Path,
        deadline: float,
        announce: Callable[[], None],
    ) -> None:
        self._listeners = listeners
        self._count = settings.web_concurrency
        self._folder = folder
        self._group = ProcessGroup(folder, PARENT)
        self._deadline = deadline
        self._announce = announce
        self._stopping = asyncio.Event()
        self._exit_code = 0
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._started: set[int] = set()
        self._define_metrics(CollectorRegistry())

    def _define_metrics(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        Gauge("app_workers", "Workers that are alive.", registry=registry).set_function(lambda: len(self._processes))
        self._restarts = Counter("app_worker_restarts", "Workers started in place of dead ones.", registry=registry)

    async def run(self) -> int:
        """Run until all workers have ended. Return the exit code."""
        loop = asyncio.get_running_loop()
        for sig in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(sig, self._signalled, sig)
        await self._group.join(lambda: [*self._registry.collect(), *unsummed(REGISTRY)])
        keepers = [asyncio.create_task(self._keep(slot)) for slot in range(self._count)]
        for keeper in keepers:
            keeper.add_done_callback(self._kept)
        await self._stopping.wait()
        _, late = await asyncio.wait(keepers, timeout=self._deadline)
        if late:
            log.error("%d workers were killed: not done in %g s", len(late), self._deadline)
            self._exit_code = CUT_SHORT
            self._send(signal.SIGKILL)
            await asyncio.wait(late)
        self._group.leave()
        log.info("stopped")
        return self._exit_code

    def _kept(self, keeper: asyncio.Task[None]) -> None:
        if error := keeper.exception():
            self._give_up(f"workers cannot be started: {type(error).__name__}: {error}")

    def _signalled(self, sig: int) -> None:
        if self._stopping.is_set():
            self._send(signal.SIGKILL)
            self._group.disband()
            os._exit(128 + sig)
        self._stop()

    def _stop(self) -> None:
        self._stopping.set()
        # The workers hold their own copies; were this one left open, connections would wait that nobody accepts.
        for listener in self._listeners:
            listener.close()
        self._send(signal.SIGTERM)

    def _give_up(self, sentence: str) -> None:
        if not self._stopping.is_set():
            log.error(sentence)
            self._exit_code = GIVEN_UP
            self._stop()

    def _send(self, sig: signal.Signals) -> None:
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(sig)

    async def _keep(self, slot: int) -> None:
        failures = 0
        while not self._stopping.is_set():
            born = time.monotonic()
            code = await self._live(slot)
            if self._stopping.is_set():
                # SIGTERM ends one that is still importing, and has nothing to lose.
                ended_well = code in (0, -signal.SIGTERM)
                self._exit_code = self._exit_code or (0 if ended_well else CUT_SHORT)
                return
            failures = 1 if time.monotonic() - born > STEADY_SECONDS else failures + 1
            if slot not in self._started:
                self._give_up(f"worker {slot} could not start: it ended with {code}")
            elif failures > MOST_FAILURES:
                self._give_up(f"worker {slot} ended {failures} times in a row; the last time with {code}")
            else:
                await self._wait_before_restart(slot, code, failures)

    async def _wait_before_restart(self, slot: int, code: int, failures: int) -> None:
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** (failures - 1))
        log.warning("worker %d ended with %d; another takes its place in %g s", slot, code, delay)
        self._restarts.inc()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), delay)

    async def _live(self, slot: int) -> int:
        """Run one worker from its start to its end. Return its exit code, negative for a signal."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = await self._spawn(Place(slot, [each.fileno() for each in self._listeners], theirs.fileno()))
            self._processes[slot] = process
            if self._stopping.is_set():  # the signal came while it was being started
                process.terminate()
            watching = asyncio.create_task(self._watch_start(slot, ours))
            try:
                return await process.wait()
            finally:
                await watching
                del self._processes[slot]
                forget_worker(self._folder, slot)

    async def _spawn(self, place: Place) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *sys.orig_argv[1:],
            pass_fds=[*place.listeners, place.lifeline],
            env={
                **os.environ,
                FOLDER_VARIABLE: str(self._folder),
                WORKER_VARIABLE: msgspec.json.encode(place).decode(),
            },
        )

    async def _watch_start(self, slot: int, lifeline: socket.socket) -> None:
        lifeline.setblocking(False)
        with contextlib.suppress(OSError):  # it died
            if not await asyncio.get_running_loop().sock_recv(lifeline, 1):
                return
        everybody = len(self._started) == self._count
        self._started.add(slot)
        if len(self._started) == self._count and not everybody and not self._stopping.is_set():
            self._announce()


@contextlib.contextmanager
def _shared_folder() -> Iterator[Path]:
    # In memory where that can be: the files are written at every request, and a container's disk is read-only.
    memory = Path("/dev/shm")  # noqa: S108
    parent = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="chassis-", dir=parent, ignore_cleanup_errors=True) as folder:
        yield Path(folder)
