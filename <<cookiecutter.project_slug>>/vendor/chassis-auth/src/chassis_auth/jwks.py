"""The issuer's published keys (JWKS): fetched, kept for a while, fetched again when they have changed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING

from .keys import KeySet, NoKeysError, from_jwks
from .settings import AuthSettings

if TYPE_CHECKING:
    from aiohttp import ClientResponse, ClientSession

LARGEST = 262_144  # bytes of a document; the largest in the wild have 20 kB
MOST_KEYS = 100

log = logging.getLogger(__name__)


class FetchError(Exception):
    """The keys could not be fetched; the text says why."""


class Jwks:
    """Keys from an address.

    What is older than `auth_jwks_max_age_seconds` is fetched again in the background, while requests go on with what
    there is. A fetch that fails, or brings nothing usable, changes nothing, until the keys are older than
    `auth_jwks_keep_seconds`. There is one fetch at a time, and one in `auth_jwks_retry_seconds`, however many tokens
    name keys that nobody knows.
    """

    def __init__(self, settings: AuthSettings, session: ClientSession) -> None:
        self._settings = settings
        self._session = session
        self._keys: KeySet | None = None
        self._fetched_at = 0.0
        self._tried_at = float("-inf")
        self._flight: asyncio.Task[None] | None = None
        self._failing = False

    def at_hand(self) -> KeySet:
        age = time.monotonic() - self._fetched_at
        if self._keys is None or age > self._settings.auth_jwks_keep_seconds:
            self._fetch()
            raise NoKeysError
        if age > self._settings.auth_jwks_max_age_seconds:
            self._fetch()
        return self._keys

    async def newest(self) -> KeySet:
        # A token may come with the new key before its fetch has ended: all wait for that one.
        if flight := self._fetch():
            await asyncio.shield(flight)
        return self.at_hand()

    async def prepare(self) -> None:
        """Fetch the keys for the first time. Without an answer the service starts all the same, and is not ready."""
        with contextlib.suppress(NoKeysError):
            await self.newest()

    async def usable(self) -> None:
        """Return when there are keys. Raises NoKeysError."""
        try:
            self.at_hand()
        except NoKeysError:
            await self.newest()

    async def close(self) -> None:
        """End the fetch that is under way, if one is."""
        if self._flight:
            self._flight.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flight

    def _fetch(self) -> asyncio.Task[None] | None:
        """The fetch under way, a new one if there may be one, else None."""
        if self._flight and not self._flight.done():
            return self._flight
        now = time.monotonic()
        if now - self._tried_at < self._settings.auth_jwks_retry_seconds:
            return None
        self._tried_at = now
        self._flight = asyncio.create_task(self._renew())
        return self._flight

    async def _renew(self) -> None:
        try:
            keys = from_jwks(await self._document(), self._settings, most=MOST_KEYS)
        except (FetchError, ValueError, RecursionError) as error:
            # Once, and not each time: the probes would fill the log.
            log.log(
                logging.DEBUG if self._failing else logging.WARNING,
                "the keys of the issuer could not be fetched: %s",
                error if isinstance(error, FetchError) else f"no valid JWKS: {error}",
                extra={"url": self._settings.auth_jwks_url, "keys_at_hand": len(self._keys.keys) if self._keys else 0},
            )
            self._failing = True
            return
        if self._failing:
            log.info("the keys of the issuer were fetched again")
        self._keys, self._fetched_at, self._failing = keys, time.monotonic(), False

    async def _document(self) -> object:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=self._settings.auth_jwks_timeout_seconds)
        # No redirects: the address in the settings is what is trusted. Nothing compressed: a little could become a lot.
        try:
            async with self._session.get(
                self._settings.auth_jwks_url,
                timeout=timeout,
                allow_redirects=False,
                headers={"accept": "application/json", "accept-encoding": "identity"},
            ) as response:
                if response.status != 200:
                    raise FetchError(f"status {response.status}")
                return json.loads(await _body(response))
        except TimeoutError:
            raise FetchError(f"no whole answer in {timeout.total:g} s") from None
        except aiohttp.ClientError as error:
            raise FetchError(type(error).__name__) from None


async def _body(response: ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LARGEST:
            raise FetchError(f"more than {LARGEST} bytes")
    return bytes(body)
