"""The store in Redis."""

from __future__ import annotations

from typing import Any

from .redis_connection import connected, told_plainly
from .store import Store, fitting

SWAP = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
"""
REMOVE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


class RedisStore(Store):
    """Each value is a string of Redis that expires."""

    def __init__(self, *, url: str, name: str) -> None:
        super().__init__(url=url, name=name)
        self._redis: Any = connected(url)
        self._swap = self._redis.register_script(SWAP)
        self._remove = self._redis.register_script(REMOVE)

    async def shutdown(self) -> None:
        await self._redis.aclose()

    async def ping(self) -> None:
        with told_plainly():
            await self._redis.ping()

    async def get(self, key: str) -> bytes | None:
        with told_plainly():
            found: bytes | None = await self._redis.get(self._place(key))
            return found

    async def put(self, key: str, value: bytes, *, seconds: float) -> None:
        with told_plainly():
            await self._redis.set(self._place(key), fitting(value), px=_milliseconds(seconds))

    async def add(self, key: str, value: bytes, *, seconds: float) -> bool:
        with told_plainly():
            return bool(await self._redis.set(self._place(key), fitting(value), px=_milliseconds(seconds), nx=True))

    async def swap(self, key: str, old: bytes, new: bytes, *, seconds: float) -> bool:
        with told_plainly():
            done = await self._swap(keys=[self._place(key)], args=[old, fitting(new), _milliseconds(seconds)])
            return bool(done)

    async def remove(self, key: str, value: bytes | None = None) -> bool:
        with told_plainly():
            if value is None:
                return bool(await self._redis.delete(self._place(key)))
            return bool(await self._remove(keys=[self._place(key)], args=[value]))

    def _place(self, key: str) -> str:
        return f"tasks:{self.name}:{key}"


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
