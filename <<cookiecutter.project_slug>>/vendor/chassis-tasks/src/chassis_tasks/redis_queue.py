"""The queue on a stream of Redis, with what a stream does not do by itself: leases, delays, dead letters."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import socket
import time
import uuid
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from redis import exceptions

from .fetching_queue import Ahead, FetchingQueue
from .insisting import insisting
from .queue import Buried, Delivery
from .redis_connection import connected, told_plainly

GROUP = "workers"
BLOCK_SECONDS = 0.5
"""How long the server waits for a message, which is also how late a delayed one may be, and a stop."""
AT_ONCE = 100
FORGET_SECONDS = 3600.0

# The server's clock is the one that all workers share.
NOW = "local t = redis.call('TIME'); local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
# A message is final once: whoever comes second finds nothing to acknowledge.
HELD = "if #redis.call('XPENDING', KEYS[1], 'workers', ARGV[1], ARGV[1], 1) == 0 then return 0 end\n"
# Last: a server that is full refuses what adds, and what was done before that stays done.
TAKE = """
redis.call('XACK', KEYS[1], 'workers', ARGV[1])
redis.call('XDEL', KEYS[1], ARGV[1])
return 1
"""
PUTTING = (
    "local function put(delay, count, data)\n"
    "  if tonumber(delay) > 0 then redis.call('ZADD', KEYS[2], now + delay, ARGV[2] .. '|' .. count .. '|' .. data)\n"
    "  else redis.call('XADD', KEYS[1], '*', 'count', count, 'data', data) end\n"
    "end\n"
)
PUT = f"{NOW}{PUTTING}put(ARGV[3], 0, ARGV[4]) return 1"
RELEASE = f"{NOW}{PUTTING}{HELD}put(ARGV[3], ARGV[4], ARGV[5]){TAKE}"
ACK = f"{HELD}{TAKE}"
BURY = f"{HELD}redis.call('XADD', KEYS[2], '*', 'count', ARGV[2], 'data', ARGV[3], 'reason', ARGV[4]){TAKE}"
RIPEN = f"""{NOW}
local due = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, {AT_ONCE})
for _, member in ipairs(due) do
  local _, _, count, data = string.find(member, '^[^|]*|(%d+)|(.*)$')
  redis.call('XADD', KEYS[1], '*', 'count', count, 'data', data)
  redis.call('ZREM', KEYS[2], member)
end
return #due
"""
REPLAY = """
local found = redis.call('XRANGE', KEYS[2], ARGV[1], ARGV[1])
if #found == 0 then return 0 end
redis.call('XADD', KEYS[1], '*', 'count', 0, 'data', found[1][2][4])
return redis.call('XDEL', KEYS[2], ARGV[1])
"""

FORGET = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if #redis.call('XPENDING', KEYS[1], 'workers', '-', '+', 1, ARGV[1]) > 0 then return 0 end
return redis.call('XGROUP', 'DELCONSUMER', KEYS[1], 'workers', ARGV[1])
"""
SCRIPTS = {
    "put": PUT,
    "release": RELEASE,
    "ack": ACK,
    "bury": BURY,
    "ripen": RIPEN,
    "replay": REPLAY,
    "forget": FORGET,
}
START = b"0-0"
STREAM_ID = re.compile(r"\d{1,18}-\d{1,18}")

_Entry = tuple[bytes, dict[bytes, bytes]]

log = logging.getLogger(__name__)


class RedisQueue(FetchingQueue[_Entry]):
    """What waits is in a stream, what is delayed in a sorted set, what is buried in a stream of its own."""

    def __init__(self, *, url: str, name: str, prefetch: int, lease_seconds: float) -> None:
        super().__init__(url=url, name=name, prefetch=prefetch, lease_seconds=lease_seconds)
        self._redis: Any = connected(url)
        # Braces keep them on one node of a cluster.
        self._stream, self._later, self._dead = (f"tasks:{{{name}}}:{part}" for part in ("queue", "later", "dead"))
        self._scripts: dict[str, Any] = {name: self._redis.register_script(script) for name, script in SCRIPTS.items()}
        self._consumer = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._ripen_at = self._reclaim_at = 0.0
        self._reclaim_from = START

    async def startup(self) -> None:
        with contextlib.suppress(ConnectionError):  # a server that is away may come; readiness tells
            await self._make_group()

    async def shutdown(self) -> None:
        await super().shutdown()
        if self._keeping:
            with contextlib.suppress(ConnectionError):
                await self._run("forget", [self._stream], self._consumer)
        await self._redis.aclose()

    async def put(self, data: bytes, *, delay: float = 0) -> None:
        await self._run("put", [self._stream, self._later], "", uuid.uuid4().hex, round(delay * 1000), data)

    async def ping(self) -> None:
        with told_plainly():
            await self._redis.ping()

    async def depth(self) -> int:
        with told_plainly():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.xlen(self._stream)
                pipe.xpending(self._stream, GROUP)
                length, held = await pipe.execute()
            return max(0, int(length) - int(held["pending"]))

    async def buried(self, limit: int = 100) -> list[Buried]:
        with told_plainly():
            letters = await self._redis.xrange(self._dead, count=limit)
        return [_letter(one, fields) for one, fields in letters]

    async def replay(self, ids: Collection[str] | None = None) -> int:
        if ids is None:
            with told_plainly():
                ids = [one.decode() for one, _ in await self._redis.xrange(self._dead)]
        known = [one for one in dict.fromkeys(ids) if STREAM_ID.fullmatch(one)]
        return sum([await self._run("replay", [self._stream, self._dead], one) for one in known])

    async def _run(self, script: str, keys: list[str], *arguments: object) -> int:
        with told_plainly():
            return int(await self._scripts[script](keys=keys, args=arguments))

    async def _make_group(self) -> None:
        try:
            with told_plainly():
                await self._redis.xgroup_create(self._stream, GROUP, id="0", mkstream=True)
        except exceptions.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _forget_the_dead(self) -> None:
        with told_plainly():
            await self._make_group()
            consumers = await self._redis.xinfo_consumers(self._stream, GROUP)
        for consumer in consumers:
            if consumer["idle"] > FORGET_SECONDS * 1000:
                await self._run("forget", [self._stream], consumer["name"])

    async def _fetch(self, ahead: Ahead[_Entry]) -> None:
        await self._forget_the_dead()
        with told_plainly():
            while not ahead.is_closing:
                if spare := await self._spare():
                    for entry in await self._some(spare):
                        if self._name(entry) not in self._held:
                            self._hold(entry, ahead)

    async def _some(self, spare: int) -> list[_Entry]:
        try:
            if time.monotonic() >= self._ripen_at:
                self._ripen_at = time.monotonic() + BLOCK_SECONDS / 2
                await self._run("ripen", [self._stream, self._later])
            return await self._reclaimed(min(spare, AT_ONCE)) or await self._read(spare)
        except exceptions.ResponseError as error:
            if not str(error).startswith(("NOGROUP", "UNBLOCKED")):
                raise
            await self._make_group()  # somebody has emptied the server
            return []

    async def _reclaimed(self, count: int) -> list[_Entry]:
        # What a worker held that is silent for too long.
        if time.monotonic() < self._reclaim_at:
            return []
        lease = round(self.lease_seconds * 1000)
        # It looks at ten times as many as it may take, and says where it stopped.
        self._reclaim_from, found, *_ = await self._redis.xautoclaim(
            self._stream, GROUP, self._consumer, min_idle_time=lease, start_id=self._reclaim_from, count=count
        )
        if not found and self._reclaim_from == START:
            self._reclaim_at = time.monotonic() + min(1, self.lease_seconds / 4)
        return [await self._counted(one, fields) for one, fields in found]

    async def _counted(self, one: bytes, fields: dict[bytes, bytes]) -> _Entry:
        # With the times that it was handed out to those who were silent.
        held = await self._redis.xpending_range(self._stream, GROUP, min=one, max=one, count=1)
        times = held[0]["times_delivered"] - 1 if held else 0
        return one, {**fields, b"count": str(int(fields[b"count"]) + times).encode()}

    async def _read(self, count: int) -> list[_Entry]:
        read = await self._redis.xreadgroup(
            GROUP, self._consumer, {self._stream: ">"}, count=count, block=round(BLOCK_SECONDS * 1000)
        )
        return [entry for _, found in read for entry in found]

    async def _keep(self) -> None:
        # Tells the server that what is held is worked on.
        while True:
            await asyncio.sleep(self.lease_seconds / 4)
            try:
                if held := [*self._held]:
                    with told_plainly():
                        await self._redis.xclaim(
                            self._stream, GROUP, self._consumer, min_idle_time=0, message_ids=held, justid=True
                        )
            except (ConnectionError, exceptions.ResponseError) as error:
                log.warning("the lease of %d tasks was not renewed: %s", len(self._held), error)

    async def _give_back(self, fetched: _Entry) -> None:
        one, fields = fetched
        self._let_go(fetched)
        arguments = (one, uuid.uuid4().hex, 0, fields[b"count"], fields[b"data"])
        await self._run("release", [self._stream, self._later], *arguments)

    def _name(self, fetched: _Entry) -> bytes:
        return fetched[0]

    def _delivery(self, fetched: _Entry) -> Delivery:
        one, fields = fetched
        data, count = fields[b"data"], int(fields[b"count"]) + 1

        async def ack() -> None:
            # Held no more, even if the server does not hear of it: then the lease ends.
            if one in self._held:
                try:
                    await self._insist("ack", [self._stream], one)
                finally:
                    self._let_go(fetched)

        async def release(seconds: float) -> None:
            delay = round(seconds * 1000)
            if self._let_go(fetched):
                await self._run("release", [self._stream, self._later], one, uuid.uuid4().hex, delay, count, data)

        async def bury(reason: str) -> None:
            if one in self._held:
                await self._insist("bury", [self._stream, self._dead], one, count, data, reason)
                self._let_go(fetched)

        return Delivery(data=data, ack=ack, attempt=count, release=release, bury=bury)

    async def _insist(self, script: str, keys: list[str], *arguments: object) -> None:
        async def run() -> None:
            await self._run(script, keys, *arguments)

        await insisting(run, self.lease_seconds, is_vain=lambda: self._is_closed)


def _letter(one: bytes, fields: dict[bytes, bytes]) -> Buried:
    at = datetime.fromtimestamp(int(one.split(b"-")[0]) / 1000, UTC)
    return Buried(one.decode(), fields[b"data"], fields[b"reason"].decode("utf-8", "replace"), at)
