"""The issuer: from a name and a password, or a refresh token, to a pair of tokens."""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator
from datetime import timedelta

from prometheus_client import Counter
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from chassis_auth import make_token
from chassis_database import UnavailableError

from . import users
from .database import database
from .errors import refused, too_many
from .families import Families
from .passwords import Passwords
from .settings import Settings
from .throttle import Throttle
from .users import User

CLEANING_SECONDS = 3600.0

log = logging.getLogger(__name__)
logins = Counter("logins", "Attempts to log in, by outcome.", ["outcome"])


class TokenPair(BaseModel):
    """An access token, and what gets the next one (RFC 6749, 5.1)."""

    access_token: str
    token_type: str = "Bearer"  # noqa: S105 - what kind it is, not which
    expires_in: int
    refresh_token: str
    scope: str


class Issuer:
    """Issues tokens for as long as a service runs."""

    def __init__(self, settings: Settings, passwords: Passwords) -> None:
        self._settings, self._passwords = settings, passwords
        self._throttle = Throttle(settings)
        self._families = Families(settings)

    async def log_in(self, name: str, password: str, scopes: frozenset[str], *, address: str) -> TokenPair:
        """A pair for the user of that `name`, for `scopes` or, if there are none, all that the user has.

        Raises GrantError, TooManyLoginsError and BusyError.
        """
        if wait := await self._throttle.admit(users.normal_name(name), address):
            logins.labels("too_many").inc()
            raise too_many(wait)
        user = await self._checked(name, password)
        if user is None:
            logins.labels("refused").inc()
            raise refused("invalid_grant", "The name or the password is wrong.")
        granted = _granted(scopes, user.scopes)
        await self._throttle.forgive(user.name)
        async with database.session() as session:
            token = await self._families.begin(session, user, granted)
        logins.labels("granted").inc()
        log.info("logged in", extra={"user": user.id})
        return self._pair(user, granted, token)

    async def refresh(self, token: str, scopes: frozenset[str]) -> TokenPair:
        """A new pair for a refresh token, which is used up. Raises GrantError."""
        async with database.session() as session:
            turned = await self._families.turn(session, token)
            user = await users.get(session, turned.user_id) if turned else None
            if turned and user and not user.disabled:
                # What was taken from the user since is taken from the session. Who asks for too much keeps the token:
                # raised in here, it undoes that it was used.
                granted = _granted(scopes, turned.scopes & user.scopes)
                return self._pair(user, granted, turned.token)
        raise refused("invalid_grant", "The refresh token is not good any more. Log in again.")

    async def revoke(self, token: str) -> None:
        """End the session of a refresh token, if it is one."""
        async with database.session() as session:
            await self._families.end(session, token)

    async def clean(self) -> None:
        """Delete what is of no use any more, again and again. Never returns."""
        while True:
            await asyncio.sleep(random.uniform(0.5, 1) * CLEANING_SECONDS)  # noqa: S311 - spreads load, no secret
            try:
                await self._throttle.forget_old()
                async with database.session() as session:
                    await self._families.forget_old(session)
            except (UnavailableError, SQLAlchemyError) as error:  # the next time will do, and what is old harms nobody
                log.warning("old sessions could not be deleted: %s", type(error).__name__)

    async def _checked(self, name: str, password: str) -> User | None:
        async with database.session() as session:
            user = await users.find(session, name)
        # No connection is held meanwhile. Whether there is such a user makes no difference in time.
        checked = await self._passwords.check(user.password if user else None, password)
        if user is None or not checked.good or user.disabled:
            return None
        if checked.renewed:
            async with database.session() as session:
                await users.renew_password(session, user, checked.renewed)
        return user

    def _pair(self, user: User, scopes: frozenset[str], token: str) -> TokenPair:
        seconds = self._settings.access_seconds
        access_token = make_token(
            self._settings,
            subject=user.id,
            scopes=sorted(scopes),
            expires=timedelta(seconds=seconds),
            claims={"preferred_username": user.name},
        )
        scope = " ".join(sorted(scopes))
        return TokenPair(access_token=access_token, expires_in=seconds, refresh_token=token, scope=scope)


def _granted(asked: frozenset[str], may: frozenset[str]) -> frozenset[str]:
    if beyond := asked - may:
        raise refused("invalid_scope", f"Not among what may be granted: {' '.join(sorted(beyond))[:200]}")
    return asked or may


@contextlib.asynccontextmanager
async def issuing(settings: Settings) -> AsyncIterator[Issuer]:
    """An issuer, for as long as the service runs. Raises StartError if there is nothing to sign with."""
    make_token(settings, subject="nobody")
    with Passwords(settings) as passwords:
        issuer = Issuer(settings, passwords)
        cleaning = asyncio.create_task(issuer.clean())
        try:
            yield issuer
        finally:
            cleaning.cancel()
            await asyncio.wait([cleaning])
