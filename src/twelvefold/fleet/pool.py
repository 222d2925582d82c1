"""Many services at once: worker processes, each of which keeps the template checked out and compiled."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.synchronize import Semaphore
from multiprocessing.util import Finalize
from typing import NoReturn, Protocol

from pebble import ProcessExpired, ProcessPool

from twelvefold.fleet import jobs
from twelvefold.fleet.jobs import Job
from twelvefold.fleet.results import Result, Results, TurnOutcome
from twelvefold.git import without_credentials

GRACE = 30.0
"""Seconds after which a worker that did not mind its job's time-out is ended."""


class Pool(Protocol):
    """What does jobs."""

    def do(self, work: Iterable[Job]) -> Iterator[Result]:
        """Do `work`; yield the results as they come."""


@contextmanager
def workers(count: int) -> Iterator[Pool]:
    """So many workers: processes, or for one this process itself.

    Leaving the context ends them, at once if that is because something was raised.
    """
    if count == 1:
        from twelvefold.engine.rendering.checkouts import keeping_checkouts

        with keeping_checkouts():
            yield Here()
        return
    # Spawned, not forked: the parent has threads, pebble's and the progress bar's.
    context = get_context("spawn")
    begun = context.Semaphore(0)
    pool = ProcessPool(max_workers=count, initializer=_begin, initargs=[begun], context=context)
    processes = Processes(pool, count)
    try:
        yield processes
        pool.close()  # type: ignore[no-untyped-call]
        # What they share goes before they are ended: a worker that has not begun would miss it, with a traceback.
        _ = processes.has_work and all(begun.acquire(timeout=GRACE) for _ in range(count))
    except BaseException:
        pool.stop()  # type: ignore[no-untyped-call]
        raise
    finally:
        pool.join()


class Here:
    """One job after the other, in this process."""

    def do(self, work: Iterable[Job]) -> Iterator[Result]:
        """Do `work`; yield the results as they come."""
        return map(jobs.run, work)


class Processes:
    """Worker processes."""

    def __init__(self, pool: ProcessPool, count: int) -> None:
        self._pool = pool
        self._workers = count
        self.has_work = False
        """Whether there was any: the processes are started for the first job."""

    def do(self, work: Iterable[Job]) -> Iterator[Result]:
        """Do `work`; yield the results as they come.

        A worker that dies or hangs takes its one job with it, which then has failed.
        """
        waiting = iter(work)
        running: dict[Future[Result], Job] = {}
        while True:
            # No more are handed over than can begin: the time of a job counts from then.
            while len(running) < self._workers and (job := next(waiting, None)):
                self.has_work = True
                running[self._pool.schedule(_run, args=[job], timeout=job.seconds + GRACE)] = job
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield _result(future, running.pop(future))


def _result(future: Future[Result], job: Job) -> Result:
    try:
        return future.result()
    except TimeoutError:
        return _lost(job, f"It was not done in {job.seconds + GRACE:g} s.")
    except ProcessExpired as error:
        return _lost(job, f"The worker process died of {error.exitcode}.")


def _lost(job: Job, sentence: str) -> Result:
    results = Results(job.results)
    known = results.get(job.key) or Result(job.name, without_credentials(job.url), TurnOutcome.FAILED)
    return results.put(job.key, replace(known, outcome=TurnOutcome.FAILED, sentence=sentence, head="", run=job.run))


_kept = contextlib.ExitStack()


def _begin(begun: Semaphore) -> None:
    """What a worker does first: it says how it ends, keeps what all services share, and that it has `begun`.

    Ctrl-C ends the git command that it waits for, too. It ends with that, so that nothing is written down as failed.
    """
    from twelvefold.engine.rendering.checkouts import keeping_checkouts

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    os.environ["TWELVEFOLD_QUIET"] = "1"
    _kept.enter_context(keeping_checkouts())
    # The first thing at the end, before threads are waited for: what clears away is not to be interrupted.
    Finalize(None, _ignore_signals, exitpriority=100)
    begun.release()


def _end(number: int, _: object) -> NoReturn:
    _ignore_signals()
    raise SystemExit(128 + number)  # not at once: a command that runs in a repository is ended on the way


def _ignore_signals() -> None:
    """It ends already: what is temporary is to be cleared away."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _run(job: Job) -> Result:
    try:
        return jobs.run(job)
    except SystemExit as error:  # the pool would take it for the job's result, and go on with this worker
        _kept.close()
        os._exit(int(error.code or 0))
