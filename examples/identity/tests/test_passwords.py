import asyncio
import threading
import time
from typing import Any

import pytest
from argon2 import extract_parameters

from identity.errors import BusyError
from identity.passwords import Passwords, problem_with

from .people import settings

pytestmark = pytest.mark.anyio
SECRET = "correct horse battery staple"  # noqa: S105 - everybody's


def passwords(**values: Any) -> Passwords:
    return Passwords(settings(**values))


async def test_a_password_is_known_by_its_hash() -> None:
    with passwords() as ours:
        stored = await ours.hash(SECRET)
        assert stored.startswith("$argon2id$")
        assert SECRET not in stored
        assert stored != await ours.hash(SECRET)
        assert (await ours.check(stored, SECRET)) == (True, None)
        for wrong in ("", SECRET.upper(), SECRET + " ", SECRET[:-1], SECRET * 100, "\ud800"):
            assert not (await ours.check(stored, wrong)).good


async def test_nobody_has_a_password() -> None:
    with passwords() as ours:
        for guess in ("", SECRET):
            assert not (await ours.check(None, guess)).good
        assert not (await ours.check("no hash", SECRET)).good


async def test_a_password_is_the_same_from_every_keyboard() -> None:
    with passwords() as ours:
        stored = await ours.hash("Stra\u00dfe und Caf\u00e9")
        assert (await ours.check(stored, "Stra\u00dfe und Cafe\u0301")).good


async def test_other_parameters_make_a_new_hash_of_the_right_password_alone() -> None:
    with passwords() as ours:
        old = await ours.hash(SECRET)
    with passwords(argon2_passes=3, argon2_memory_kib=64) as ours:
        good, renewed = await ours.check(old, SECRET)
        assert good
        assert renewed
        assert (extract_parameters(renewed).time_cost, extract_parameters(renewed).memory_cost) == (3, 64)
        assert (await ours.check(renewed, SECRET)) == (True, None)
        assert (await ours.check(old, "wrong")) == (False, None)


async def test_a_storm_is_hashed_a_few_at_a_time_and_the_rest_is_sent_away() -> None:
    with passwords(argon2_threads=2, argon2_memory_kib=4096) as ours:
        before = threading.active_count()
        work = [asyncio.create_task(ours.check(None, SECRET)) for _ in range(100)]
        await asyncio.sleep(0.01)
        assert threading.active_count() - before <= 2
        started = time.perf_counter()
        await asyncio.sleep(0)  # the loop is not held up meanwhile
        assert time.perf_counter() - started < 0.1
        results = await asyncio.gather(*work, return_exceptions=True)
        busy = [result for result in results if isinstance(result, BusyError)]
        assert len(busy) == 100 - 2 * 17
        assert busy[0].headers["retry-after"] == "2"
        assert not (await ours.check(None, SECRET)).good  # and later there is room again


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("short", "12 to 256"),
        ("x" * 257, "12 to 256"),
        ("aaaaaaaaaaaaaaaa", "four different"),
        (" " * 20, "four different"),
        ("abcdefghijklmnop\ud800", "surrogate"),
        (SECRET, ""),
        ("x" * 200 + "abcd", ""),
        ("\u2603\u2604\u2605\u2606" * 3, ""),
    ],
)
def test_which_passwords_will_do(password: str, problem: str) -> None:
    said = problem_with(password)
    assert problem in said if problem else said == ""
