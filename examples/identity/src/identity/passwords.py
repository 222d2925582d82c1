"""Passwords: hashed with argon2id, in a few threads, and for those who do not exist as well."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Self, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from .errors import busy
from .settings import Settings

LEAST, MOST = 12, 256  # characters
QUEUE = 16  # how many may wait for a thread, for each thread

Result = TypeVar("Result")


class Checked(NamedTuple):
    """What came of checking a password."""

    good: bool
    renewed: str | None = None
    """A new hash to store, where the old one was made with other parameters."""


class Passwords:
    """Hashes and checks passwords, a few at a time: each takes memory and a core for a while.

    Beyond a queue of some, who comes is sent away, instead of waiting until nobody waits any more.
    """

    def __init__(self, settings: Settings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_passes, memory_cost=settings.argon2_memory_kib, parallelism=1
        )
        self._threads = ThreadPoolExecutor(settings.argon2_threads, thread_name_prefix="argon2")
        self._most = settings.argon2_threads * (QUEUE + 1)
        self._busy = 0
        # What is checked for a user who does not exist: that takes as long as for one who does.
        self._nobodys = self._hasher.hash(secrets.token_urlsafe())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """The hash to store. Raises BusyError."""
        return await self._run(lambda: self._hasher.hash(_encoded(password)))

    async def check(self, stored: str | None, password: str) -> Checked:
        """Whether `password` is the one with the hash `stored`; None for that of nobody. Raises BusyError."""
        return await self._run(lambda: self._check(stored, _encoded(password)))

    def _check(self, stored: str | None, password: bytes) -> Checked:
        try:
            self._hasher.verify(stored or self._nobodys, password)
        except (VerificationError, InvalidHashError):
            return Checked(False)
        if stored is None:
            return Checked(False)
        return Checked(True, self._hasher.hash(password) if self._hasher.check_needs_rehash(stored) else None)

    async def _run(self, work: Callable[[], Result]) -> Result:
        if self._busy >= self._most:
            raise busy()
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._busy -= 1


def normal(password: str) -> str:
    """`password` in the one form that all keyboards' spellings of it have, and no longer than one may be."""
    # Longer ones are none that anybody could have set.
    return unicodedata.normalize("NFKC", password[: MOST + 1])


def _encoded(password: str) -> bytes:
    return normal(password).encode("utf-8", "surrogatepass")  # a wrong one may have half a character


def problem_with(password: str) -> str:
    """What is wrong with `password` as a new one, nothing if it will do."""
    if not LEAST <= len(normal(password)) <= MOST:
        return f"A password has {LEAST} to {MOST} characters."
    if password.strip() == "" or len(set(password)) < 4:
        return "The password is made of fewer than four different characters."
    try:
        password.encode()
    except UnicodeEncodeError:
        return "The password has half a character: a lone surrogate."
    return ""
