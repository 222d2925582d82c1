"""Run in the environment of a service: whatever a task returns or raises, it runs once.

Beside it on the path are the chassis, what its own tests share, and hypothesis.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis_tasks import Status, Tasks
from chassis_tasks.memory_queue import MemoryQueue
from tasks.bench import at_work, count, until
from tasks.results import LEAVES, failures, serialized_by


def one_of_these(values: list[Any]) -> st.SearchStrategy[Any]:
    """As sampled_from, which asks each for its words: some have none."""
    return st.integers(0, len(values) - 1).map(lambda number: values[number])


CHARACTERS = st.one_of(st.characters(), st.characters(categories=["Cs"]))
TEXTS = st.text(CHARACTERS, max_size=20)
EXCEPTIONS = st.one_of(
    st.builds(ValueError, TEXTS),
    st.builds(KeyError, st.binary()),
    one_of_these([*failures().values()]),
)
KEYS = st.one_of(TEXTS, st.integers(), st.none(), st.floats(), st.binary(max_size=5), st.tuples(st.integers()))
VALUES = st.recursive(
    st.one_of(
        *(st.none(), st.booleans(), st.floats(), st.complex_numbers(), st.decimals(), st.fractions(), TEXTS),
        *(st.binary(), st.datetimes(), st.timedeltas(), st.uuids(), st.ip_addresses(), st.functions()),
        st.integers(),
        st.integers(0, 6000).map(lambda digits: -(10**digits)),
        one_of_these(LEAVES),
        st.builds(serialized_by, EXCEPTIONS),
        st.builds(object),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.tuples(inner, inner),
        st.dictionaries(KEYS, inner, max_size=3),
        st.integers(1, 300).flatmap(lambda depth: inner.map(lambda value: within(value, depth))),
        inner.map(lambda value: (one for one in [value])),
    ),
    max_leaves=6,
)


def within(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


async def ended(end: Any, kind: Any, *, retries: int) -> tuple[int, Status, dict[str, float]]:
    """How often a task ran that ended so, its status, and what was counted."""
    part, runs = Tasks(), 0

    async def work() -> Any:
        nonlocal runs
        runs += 1
        return end()

    work.__annotations__["return"] = kind
    part.task(name="work", retries=retries)(work)
    async with at_work(part) as opened:
        assert isinstance(opened.queue, MemoryQueue)
        info = await part.wait((await part.known["work"].enqueue()).id, seconds=20)

        async def is_gone() -> bool:
            return opened.queue.left() == 0

        await until(is_gone)
        outcomes = ("done", "done_without_result", "failed", "retried")
        return runs, info.status, {one: number for one in outcomes if (number := count(opened, "work", one))}


def returns(value: Any, kind: Any) -> None:
    runs, status, counted = asyncio.run(ended(lambda: value, kind, retries=3))
    assert (runs, status) == (1, Status.DONE)
    assert counted in ({"done": 1}, {"done_without_result": 1})


def raises(error: BaseException) -> None:
    def end() -> None:
        raise error

    assert asyncio.run(ended(end, Any, retries=0)) == (1, Status.FAILED, {"failed": 1})


def main(examples: int) -> None:
    """Try so many values, and so many exceptions."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    profile = settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=checks)
    profile(given(VALUES, st.sampled_from([Any, object, int, str, dict[str, int]]))(returns))()
    profile(given(EXCEPTIONS)(raises))()


if __name__ == "__main__":
    main(int(sys.argv[1]))
