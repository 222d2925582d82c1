"""The part of the service that is its `auth`."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from fastapi import APIRouter

from chassis.failures import StartError
from chassis.part import Check, Part, Resource, Schema
from chassis.settings import Settings

from .settings import AuthSettings, has_key

if TYPE_CHECKING:
    import click

    from .jwks import Jwks
    from .verifier import Verifier

log = logging.getLogger(__name__)


class _Issuing(Protocol):
    """`issuing.part.Issuing`, which needs what a service without a database has not got."""

    def schema(self) -> Schema: ...
    def routers(self, settings: Settings) -> Sequence[APIRouter]: ...
    def commands(self) -> Sequence[click.Command]: ...
    def opened(self, settings: Settings) -> AbstractAsyncContextManager[None]: ...


class Auth(Part):
    """Put together in the team's package, as `auth = Auth()` in its module `auth`.

    Verifies tokens. In a service with the capability `database` it keeps users as well, and issues tokens to them if
    the setting `auth_issue` says so.
    """

    settings = AuthSettings
    after = ("database",)

    def __init__(self) -> None:
        self._jwks: Jwks | None = None
        self._issuing: _Issuing | None = None

    def join(self, others: Mapping[str, Part]) -> None:
        if database := others.get("database"):
            self._issuing = import_module(f"{__package__}.issuing.part").Issuing(database)

    def schema(self) -> Schema | None:
        return self._issuing.schema() if self._issuing else None

    def resources(self) -> Mapping[str, Resource]:
        return {"auth": self._opened}

    def checks(self) -> Mapping[str, Check]:
        return {"auth": self._can_verify}

    def routers(self, settings: Settings) -> Sequence[APIRouter]:
        issuing = self._issuer(settings)
        return issuing.routers(settings) if issuing else ()

    def commands(self) -> Sequence[click.Command]:
        from .commands import auth_commands

        return [auth_commands(self._issuing.commands() if self._issuing else ())]

    def describe(self, document: dict[str, Any], settings: Settings) -> None:
        from .describe import tell_of_login, tell_of_refusals

        tell_of_refusals(document)
        if self._issuer(settings):
            tell_of_login(document)

    @contextlib.asynccontextmanager
    async def _opened(self, settings: Settings) -> AsyncIterator[Verifier]:
        from .keys import set_keys
        from .verifier import as_auth, verifier

        auth, issuing = as_auth(settings), self._issuer(settings)
        if not has_key(auth):
            log.warning("tokens are verified with a secret that everybody knows: good for development alone")
        async with contextlib.AsyncExitStack() as stack:
            if issuing:
                await stack.enter_async_context(issuing.opened(settings))
            if auth.auth_jwks_url:
                self._jwks = await stack.enter_async_context(_published(auth, name=settings.name))
                stack.callback(self._forget_jwks)
            yield verifier(settings, self._jwks or set_keys(auth))

    def _forget_jwks(self) -> None:
        self._jwks = None

    async def _can_verify(self, given: object) -> None:
        if self._jwks:
            await self._jwks.usable()

    def _issuer(self, settings: Settings) -> _Issuing | None:
        """What issues tokens, if the settings say so. Raises StartError if it cannot."""
        from .verifier import as_auth

        if not as_auth(settings).auth_issue:
            return None
        if self._issuing is None:
            raise StartError(
                "auth_issue (APP_AUTH_ISSUE) is true, and users need a database to be in. Update with --answer "
                "database=true, or unset it: tokens of another issuer are verified without."
            )
        from .tokens import signer

        signer(as_auth(settings))  # raises if there is nothing to sign with
        return self._issuing


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
