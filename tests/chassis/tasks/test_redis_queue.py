"""What only the queue on Redis has to do."""

from collections.abc import AsyncIterator

import pytest

from required import require_server
from tasks.queues import KEPT, URLS, new_name, remove, started, take

pytestmark = pytest.mark.anyio


@pytest.fixture
async def place() -> AsyncIterator[tuple[str, str]]:
    """The server and the name of a queue."""
    url, name = URLS["redis"], new_name()
    require_server(url)
    yield url, name
    await remove(url, name)


async def test_a_killed_worker_s_message_is_found_behind_many_that_others_work_on(place: tuple[str, str]) -> None:
    # Each says for itself how long others may be silent, and tells of itself three times in a lease of its own.
    async with (
        started(*place, prefetch=30, lease=KEPT / 10) as busy,
        started(*place) as killed,
        started(*place, prefetch=1, lease=KEPT / 2) as small,
    ):
        for number in range(30):
            await busy.put(str(number).encode())
        assert len(await take(busy, 30)) == 30
        await killed.put(b"lost")
        await take(killed)
        killed._keeping.cancel()  # type: ignore[attr-defined]
        (found,) = await take(small)
        assert found.data == b"lost"
