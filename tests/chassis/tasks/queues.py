"""Queues of every kind, for tests: each with a name of its own on a server that others use too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from importlib import import_module
from urllib.parse import urlsplit
from uuid import uuid4

from chassis_tasks.queue import Delivery, Queue
from chassis_tasks.settings import QUEUES
from patience import HANGS
from required import ADDRESSES

URLS = {"memory": "memory://", **{kind: ADDRESSES[kind] for kind in ("redis", "amqp", "nats")}}
LEASE = 2 * HANGS
"""Seconds; so long that nothing comes back by itself while a test looks."""
SOON_OVER = 2.0
"""Seconds; a lease that a test waits for the end of, where nobody has to keep what it holds."""
KEPT = 6.0
"""Seconds; a lease that is over for some and must be kept by others: a machine may stand still for four of them."""


def made(url: str, name: str, *, prefetch: int = 10, lease: float = LEASE) -> Queue:
    """A queue, not started."""
    module, kind = QUEUES[urlsplit(url).scheme]
    make = getattr(import_module(f"chassis_tasks.{module}"), kind)
    queue: Queue = make(url=url, name=name, prefetch=prefetch, lease_seconds=lease)
    return queue


@contextlib.asynccontextmanager
async def started(url: str, name: str, *, prefetch: int = 10, lease: float = LEASE) -> AsyncIterator[Queue]:
    queue = made(url, name, prefetch=prefetch, lease=lease)
    await queue.startup()
    try:
        yield queue
    finally:
        await queue.shutdown()


def new_name() -> str:
    return f"test-{uuid4().hex[:12]}"


async def remove(url: str, name: str) -> None:
    """Take away what a queue and a store of this name left on the server."""
    await REMOVERS[urlsplit(url).scheme](url, name)


async def _nothing(url: str, name: str) -> None:
    pass


async def _of_redis(url: str, name: str) -> None:
    from redis.asyncio import Redis

    async with Redis.from_url(url) as redis:
        keys = [key async for key in redis.scan_iter(match=f"tasks:*{name}*")]
        if keys:
            await redis.delete(*keys)


async def _of_amqp(url: str, name: str) -> None:
    import aio_pika

    async with await aio_pika.connect(url) as connection:
        for suffix in ("", ".dead", *(f".delayed.{level}" for level in range(40))):
            channel = await connection.channel()
            with contextlib.suppress(aio_pika.exceptions.AMQPError):
                await channel.queue_delete(f"{name}{suffix}")


async def _of_nats(url: str, name: str) -> None:
    import nats
    from nats.js.errors import NotFoundError

    connection = await nats.connect(url)
    context = connection.jetstream()
    for stream in (name, f"{name}-dead", f"KV_{name}"):
        with contextlib.suppress(NotFoundError):
            await context.delete_stream(stream)
    await connection.close()


REMOVERS = {"memory": _nothing, "redis": _of_redis, "amqp": _of_amqp, "nats": _of_nats}


async def take(queue: Queue, count: int = 1, *, seconds: float = HANGS) -> list[Delivery]:
    """The next deliveries; nothing else is held then. Raises TimeoutError."""
    taken: list[Delivery] = []
    async with asyncio.timeout(seconds):
        async with contextlib.aclosing(queue.listen()) as deliveries:
            async for delivery in deliveries:
                taken.append(delivery)
                if len(taken) == count:
                    break
    return taken
