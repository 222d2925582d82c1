"""The store that goes with `memory://`: it lives and dies with the process."""

from __future__ import annotations

import heapq
import time

from .store import Store


class MemoryStore(Store):
    """Keeps values in this process, for as long as it lives."""

    def __init__(self, *, url: str, name: str) -> None:
        super().__init__(url=url, name=name)
        self._values: dict[str, tuple[float, bytes]] = {}
        self._ends: list[tuple[float, str]] = []

    async def shutdown(self) -> None:
        pass

    async def ping(self) -> None:
        pass

    async def get(self, key: str) -> bytes | None:
        self._forget()
        found = self._values.get(key)
        return found[1] if found else None

    async def put(self, key: str, value: bytes, *, seconds: float) -> None:
        self._forget()
        end = time.monotonic() + seconds
        self._values[key] = (end, value)
        heapq.heappush(self._ends, (end, key))

    async def add(self, key: str, value: bytes, *, seconds: float) -> bool:
        if await self.get(key) is not None:
            return False
        await self.put(key, value, seconds=seconds)
        return True

    async def swap(self, key: str, old: bytes, new: bytes, *, seconds: float) -> bool:
        if await self.get(key) != old:
            return False
        await self.put(key, new, seconds=seconds)
        return True

    async def remove(self, key: str, value: bytes | None = None) -> bool:
        found = await self.get(key)
        if found is None or value not in (None, found):
            return False
        del self._values[key]
        return True

    def _forget(self) -> None:
        now = time.monotonic()
        while self._ends and self._ends[0][0] <= now:
            end, key = heapq.heappop(self._ends)
            if key in self._values and self._values[key][0] == end:  # else it was put again, or removed
                del self._values[key]
