"""The store in NATS: a bucket of keys and values."""

from __future__ import annotations

import contextlib
import struct
import time
from collections.abc import Iterator
from typing import Any

from nats.js.api import KeyValueConfig, StorageType
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError

from .errors import TooLargeError
from .nats_connection import NatsConnection, told_plainly
from .store import Store, fitting

LONGEST = 30 * 86_400.0
"""Seconds; the bucket forgets what is older, as far as its disk is concerned."""
END = struct.Struct(">d")


class NatsStore(Store):
    """Values in a bucket; each begins with the moment at which it ends, for this server may know no time to live."""

    def __init__(self, *, url: str, name: str) -> None:
        super().__init__(url=url, name=name)
        self._connection = NatsConnection(url)
        self._is_made = False

    async def shutdown(self) -> None:
        await self._connection.close()

    async def ping(self) -> None:
        with told_plainly():
            await (await self._bucket()).status()

    async def get(self, key: str) -> bytes | None:
        found = await self._get(key)
        return found[0] if found else None

    async def put(self, key: str, value: bytes, *, seconds: float) -> None:
        ending = _ending(value, seconds)
        with _fitting_here(), told_plainly():
            await (await self._bucket()).put(key, ending)

    async def add(self, key: str, value: bytes, *, seconds: float) -> bool:
        bucket, ending = await self._bucket(), _ending(value, seconds)
        with _fitting_here(), told_plainly():
            try:
                await bucket.create(key, ending)
            except KeyWrongLastSequenceError:
                return await self._add_in_place_of_an_ended(key, ending)
        return True

    async def swap(self, key: str, old: bytes, new: bytes, *, seconds: float) -> bool:
        found = await self._get(key)
        return bool(found and found[0] == old and await self._update(key, _ending(new, seconds), found[1]))

    async def remove(self, key: str, value: bytes | None = None) -> bool:
        found = await self._get(key)
        if found is None or value not in (None, found[0]):
            return False
        with told_plainly():
            try:
                await (await self._bucket()).delete(key, last=found[1])
            except KeyWrongLastSequenceError:
                return False
        return True

    async def _bucket(self) -> Any:
        stream = await self._connection.stream()
        with told_plainly():
            if not self._is_made:
                config = KeyValueConfig(bucket=self.name, history=1, ttl=LONGEST, storage=StorageType.FILE)
                try:
                    await stream.key_value(self.name)
                except BucketNotFoundError:
                    await stream.create_key_value(config)
                self._is_made = True
            return await stream.key_value(self.name)

    async def _get(self, key: str) -> tuple[bytes, int] | None:
        """The value and its revision; None for none, and for one that has ended."""
        with told_plainly():
            try:
                entry = await (await self._bucket()).get(key)
            except KeyNotFoundError:
                return None
        (end,) = END.unpack_from(entry.value)
        return (entry.value[END.size :], entry.revision) if end > time.time() else None

    async def _add_in_place_of_an_ended(self, key: str, ending: bytes) -> bool:
        with told_plainly():
            try:
                entry = await (await self._bucket()).get(key)
            except KeyNotFoundError:
                return False  # removed just now; whoever tries again is free to
        (end,) = END.unpack_from(entry.value)
        return end <= time.time() and await self._update(key, ending, entry.revision)

    async def _update(self, key: str, ending: bytes, revision: int) -> bool:
        with _fitting_here(), told_plainly():
            try:
                await (await self._bucket()).update(key, ending, last=revision)
            except KeyWrongLastSequenceError:
                return False
        return True


def _ending(value: bytes, seconds: float) -> bytes:
    return END.pack(time.time() + min(seconds, LONGEST)) + fitting(value)


@contextlib.contextmanager
def _fitting_here() -> Iterator[None]:
    """Inside, what this server does not take is a ValueError, as what no store takes."""
    try:
        yield
    except TooLargeError as error:
        raise ValueError(f"a value is too large: {error}") from error
