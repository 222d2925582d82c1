"""What every store promises."""

from collections.abc import AsyncIterator

import anyio
import pytest

from chassis_tasks.settings import STORES, TasksSettings
from chassis_tasks.store import Store
from chassis_tasks.urls import store_of
from required import require_server
from tasks.queues import URLS, new_name, remove

pytestmark = pytest.mark.anyio
STILL_THERE = 3  # seconds, in which a machine of any speed says the next word


@pytest.fixture(params=[kind for kind in URLS if kind in STORES])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    url, name = URLS[request.param], new_name()
    require_server(url)
    store = store_of(name, TasksSettings(broker_url=url))
    assert store
    yield store
    await store.shutdown()
    await remove(url, name)


async def test_keeps_what_it_is_given(store: Store) -> None:
    assert await store.get("a.b-c_d") is None
    await store.put("a.b-c_d", b"one", seconds=600)
    await store.put("a.b-c_d", b"two", seconds=600)
    assert await store.get("a.b-c_d") == b"two"


async def test_forgets_when_the_time_is_over(store: Store) -> None:
    await store.put("short", b"", seconds=0.05)
    await store.put("long", b"", seconds=600)
    await anyio.sleep(0.06)
    assert await store.get("short") is None
    assert await store.get("long") == b""


async def test_what_is_put_again_lasts_anew(store: Store) -> None:
    await store.put("key", b"1", seconds=0.05)
    await store.put("key", b"2", seconds=600)
    await anyio.sleep(0.06)
    assert await store.get("key") == b"2"


async def test_adds_only_where_nothing_is(store: Store) -> None:
    assert await store.add("key", b"first", seconds=600)
    assert not await store.add("key", b"second", seconds=600)
    assert await store.get("key") == b"first"


async def test_swaps_only_what_is_there(store: Store) -> None:
    assert not await store.swap("key", b"old", b"new", seconds=600)
    await store.put("key", b"old", seconds=600)
    assert not await store.swap("key", b"other", b"new", seconds=600)
    assert await store.swap("key", b"old", b"new", seconds=600)
    assert await store.get("key") == b"new"


async def test_a_swap_makes_it_last(store: Store) -> None:
    await store.put("key", b"me", seconds=STILL_THERE)
    assert await store.swap("key", b"me", b"me", seconds=600)
    await anyio.sleep(STILL_THERE * 1.1)
    assert await store.get("key") == b"me"


async def test_removes_only_what_is_meant(store: Store) -> None:
    assert not await store.remove("key")
    await store.put("key", b"mine", seconds=600)
    assert not await store.remove("key", b"yours")
    assert await store.remove("key", b"mine")
    assert await store.get("key") is None
