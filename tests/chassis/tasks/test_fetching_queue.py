"""What a worker fetched ahead, on the brokers that are asked for messages."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from nats.aio.msg import Msg

from chassis_tasks.queue import Queue
from chassis_tasks.redis_queue import RedisQueue
from required import require_server
from tasks.bench import until
from tasks.queues import KEPT, URLS, new_name, remove, started, take

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["redis", "nats"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, str]]:
    """The server and the name of a queue."""
    url, name = URLS[request.param], new_name()
    require_server(url)
    yield url, name
    await remove(url, name)


@pytest.fixture
def given_back_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refused(*_: Any) -> None:
        raise ConnectionError("away")

    run = RedisQueue._run

    async def run_some(queue: RedisQueue, script: str, keys: list[str], *arguments: object) -> int:
        if script == "release":
            await refused()
        return await run(queue, script, keys, *arguments)

    monkeypatch.setattr(RedisQueue, "_run", run_some)
    monkeypatch.setattr(Msg, "nak", refused)


async def is_fetched(queue: Queue) -> bool:
    return len(queue._held) == 4  # type: ignore[attr-defined]


@pytest.mark.usefixtures("given_back_is_nothing")
async def test_what_cannot_be_given_back_comes_when_the_lease_is_over(place: tuple[str, str]) -> None:
    async with started(*place, lease=KEPT) as queue, started(*place, lease=KEPT) as another:
        for number in range(4):
            await queue.put(str(number).encode())
        async with contextlib.aclosing(queue.listen()) as deliveries:
            first = await anext(deliveries)
            await until(lambda: is_fetched(queue))
        back = await take(another, 3)
        assert first.data not in {delivery.data for delivery in back}
