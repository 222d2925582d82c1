"""The part of the service that is its `auth`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from chassis.part import Check, Part, Resource
from chassis.settings import Settings

from .settings import AuthSettings, has_key

if TYPE_CHECKING:
    import click

    from .jwks import Jwks
    from .verifier import Verifier

log = logging.getLogger(__name__)


class Auth(Part):
    """Verifies tokens. Put together in the team's package, as `auth = Auth()` in its module `auth`."""

    settings = AuthSettings

    def __init__(self) -> None:
        self._jwks: Jwks | None = None

    def resources(self) -> Mapping[str, Resource]:
        return {"auth": self._opened}

    def checks(self) -> Mapping[str, Check]:
        return {"auth": self._can_verify}

    def commands(self) -> Sequence[click.Command]:
        from .commands import auth_commands

        return [auth_commands]

    def describe(self, document: dict[str, Any], settings: Settings) -> None:
        from .describe import tell_of_refusals

        tell_of_refusals(document)

    @contextlib.asynccontextmanager
    async def _opened(self, settings: Settings) -> AsyncIterator[Verifier]:
        from .keys import set_keys
        from .verifier import as_auth, verifier

        auth = as_auth(settings)
        if not has_key(auth):
            log.warning("tokens are verified with a secret that everybody knows: good for development alone")
        async with contextlib.AsyncExitStack() as stack:
            if auth.auth_jwks_url:
                self._jwks = await stack.enter_async_context(_published(auth, name=settings.name))
                stack.callback(self._forget_jwks)
            yield verifier(settings, self._jwks or set_keys(auth))

    def _forget_jwks(self) -> None:
        self._jwks = None

    async def _can_verify(self, given: object) -> None:
        if self._jwks:
            await self._jwks.usable()


@contextlib.asynccontextmanager
async def _published(settings: AuthSettings, *, name: str) -> AsyncIterator[Jwks]:
    from aiohttp import ClientSession, DummyCookieJar

    from .jwks import Jwks

    # Not the team's client: this one must not unpack what is compressed, nor wait for a place in somebody's pool.
    session = ClientSession(cookie_jar=DummyCookieJar(), headers={"user-agent": name}, auto_decompress=False)
    async with session:
        keys = Jwks(settings, session)
        await keys.prepare()
        try:
            yield keys
        finally:
            await keys.close()
