import asyncio
import contextlib
import time
from typing import Any

import pytest

from chassis.process.checks import Checks

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("virtual_time")]


async def fine(given: Any) -> None:
    pass


async def broken(given: Any) -> None:
    raise ConnectionError("postgresql://user:password@host is down")


async def hanging(given: Any) -> None:
    await asyncio.sleep(60)


class Counted:
    """A check that counts its runs, and fails while `wrong` is set."""

    def __init__(self) -> None:
        self.runs = 0
        self.wrong: Exception | None = None

    async def __call__(self, given: Any) -> None:
        self.runs += 1
        await asyncio.sleep(0.01)
        if self.wrong:
            raise self.wrong


def made(**checks: Any) -> Checks:
    made = Checks(checks)
    made.timeout, made.fresh_for = 0.05, 0.0
    return made


async def test_each_tells_for_itself_and_never_the_message() -> None:
    results = await made(database=broken, queue=hanging, cache=fine).results()
    assert results == {"database": "ConnectionError", "queue": "no answer in 0.05 s", "cache": "ok"}


async def test_without_checks_there_is_nothing_to_tell() -> None:
    assert await made().results() == {}


async def test_all_run_at_the_same_time() -> None:
    checks = made(**{f"check{n}": hanging for n in range(20)})
    began = time.monotonic()
    await checks.results()
    assert time.monotonic() - began == pytest.approx(checks.timeout)


async def test_probes_do_not_stampede_a_backing_service() -> None:
    database = Counted()
    checks = made(database=database)
    checks.fresh_for = 60
    await asyncio.gather(*(checks.results() for _ in range(50)))
    await checks.results()
    assert database.runs == 1


async def test_results_are_good_for_a_moment_only() -> None:
    database = Counted()
    checks = made(database=database)
    await checks.results()
    await checks.results()
    assert database.runs == 2


async def test_a_probe_that_hangs_up_does_not_end_the_check_for_the_others() -> None:
    checks = made(database=Counted())
    impatient = asyncio.create_task(checks.results())
    patient = asyncio.create_task(checks.results())
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient == {"database": "ok"}


async def test_one_that_ignores_its_cancellation_delays_nobody_and_is_not_started_twice() -> None:
    runs = 0
    let_go = asyncio.Event()

    async def stubborn(given: Any) -> None:
        nonlocal runs
        runs += 1
        while not let_go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await let_go.wait()

    checks = made(queue=stubborn)
    try:
        for _ in range(3):
            assert await checks.results() == {"queue": "no answer in 0.05 s"}
        assert runs == 1
    finally:
        let_go.set()  # or a test that fails would not end


async def test_a_check_is_given_the_resources() -> None:
    async def check(given: Any) -> None:
        assert given.database == "a pool"

    checks = made(database=check)
    checks.reset({"database": "a pool"})
    assert await checks.results() == {"database": "ok"}


async def test_a_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    database = Counted()
    checks = made(database=database)
    await checks.results()
    database.wrong = ConnectionError("secret")
    for _ in range(3):
        await checks.results()
    database.wrong = None
    for _ in range(3):
        await checks.results()
    assert caplog.messages == ["check database failed: ConnectionError", "check database passes again"]
