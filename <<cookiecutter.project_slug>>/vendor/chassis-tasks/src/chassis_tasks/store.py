"""The store: small values by key, which every process of the service sees, each for a limited time."""

from __future__ import annotations

from abc import ABC, abstractmethod

LARGEST = 900_000
"""Bytes; NATS takes a message of 1 MiB, unless told otherwise."""


class Store(ABC):
    """What is known of tasks: where each stands, which keys are taken, who is the scheduler.

    A key is made of ASCII letters, digits, `.`, `-` and `_`, at most 200 characters; a value is at most 900 kB. A value
    is kept for at least the `seconds` it was given, and is gone a second later. Raises ConnectionError from every
    method when the server cannot be reached, and ValueError for a value that is too large.

    :param url: of the server, to which it connects when it is used.
    :param name: whose values these are; what is on the server bears it.
    """

    def __init__(self, *, url: str, name: str) -> None:
        self.url = url
        self.name = name

    @abstractmethod
    async def shutdown(self) -> None:
        """Close the connections. The values stay."""

    @abstractmethod
    async def ping(self) -> None:
        """Raise unless values can be kept now."""

    @abstractmethod
    async def get(self, key: str) -> bytes | None:
        """The value at `key`, unless there is none."""

    @abstractmethod
    async def put(self, key: str, value: bytes, *, seconds: float) -> None:
        """Keep `value`, whatever was there."""

    @abstractmethod
    async def add(self, key: str, value: bytes, *, seconds: float) -> bool:
        """Keep `value` if there is none at `key`; return whether it is kept. Of several at once, one gets True."""

    @abstractmethod
    async def swap(self, key: str, old: bytes, new: bytes, *, seconds: float) -> bool:
        """Keep `new` if the value at `key` is `old` until then; return whether it is kept. Atomic.

        With the same value twice it only lasts longer.
        """

    @abstractmethod
    async def remove(self, key: str, value: bytes | None = None) -> bool:
        """Remove what is at `key`, if it is `value` or none is given; return whether something was removed. Atomic."""


def fitting(value: bytes) -> bytes:
    """`value`, if it is not too large to be kept. Raises ValueError."""
    if len(value) > LARGEST:
        raise ValueError(f"a value of {len(value)} bytes is too large: at most {LARGEST} fit")
    return value
