"""Families of refresh tokens: a log-in and what was refreshed from it. Each token can be used once."""

import hashlib
import logging
import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, cast
from uuid import uuid4

from sqlalchemy import CursorResult, case, delete, insert, literal, or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from .database import families
from .settings import Settings
from .users import User

log = logging.getLogger(__name__)

TOKEN = re.compile(r"([0-9a-f]{32})\.([\w-]{43})", re.ASCII)


class Turned(NamedTuple):
    """A token that was used, and the one that takes its place."""

    token: str
    user_id: str
    scopes: frozenset[str]


class Families:
    """Begins, refreshes and ends families."""

    def __init__(self, settings: Settings) -> None:
        self._lasts = timedelta(seconds=settings.refresh_seconds)
        self._ends = timedelta(seconds=settings.session_seconds)

    async def begin(self, session: AsyncSession, user: User, scopes: Iterable[str]) -> str:
        """The first token of a new family."""
        id_, now = uuid4().hex, datetime.now(UTC)
        token = _new(id_)
        values = {
            "id": id_,
            "user_id": user.id,
            "token": _digest(token),
            "scopes": " ".join(sorted(scopes)),
            "ends_at": now + self._ends,
            "expires_at": min(now + self._lasts, now + self._ends),
        }
        await session.execute(insert(families).values(values))
        return token

    async def turn(self, session: AsyncSession, token: str) -> Turned | None:
        """Use `token` up. Returns None if it is not good any more, or never was.

        Whoever comes second with a token, in whatever process, ends its family: of the two one has stolen it, and
        nobody can tell which.
        """
        if (family := _family(token)) is None:
            return None
        new, now = _new(family), datetime.now(UTC)
        lasts = literal(now + self._lasts, families.c.ends_at.type)
        # The one statement that decides: of two that come at once, the second finds another token there.
        used = await session.execute(
            update(families)
            .where(
                families.c.id == family,
                families.c.token == _digest(token),
                families.c.revoked_at.is_(None),
                families.c.expires_at > now,
            )
            .values(
                token=_digest(new),
                expires_at=case((families.c.ends_at < lasts, families.c.ends_at), else_=lasts),
            )
            .returning(families.c.user_id, families.c.scopes)
        )
        if (row := used.first()) is None:
            if await self.end(session, token):
                log.warning("a refresh token was used that was used up or made up: its session was ended")
            return None
        return Turned(new, row.user_id, frozenset(row.scopes.split()))

    async def end(self, session: AsyncSession, token: str) -> bool:
        """End the family of `token`, which need not be its last. Returns whether there was one to end."""
        ended = await session.execute(
            update(families)
            .where(families.c.id == _family(token), families.c.revoked_at.is_(None))
            .values(revoked_at=datetime.now(UTC))
        )
        return cast("CursorResult[Any]", ended).rowcount == 1

    async def forget_old(self, session: AsyncSession) -> int:
        """Delete the families of which no token is good any more. Returns how many there were."""
        now = datetime.now(UTC)
        old = or_(families.c.expires_at < now, families.c.revoked_at < now - timedelta(days=1))
        return cast("CursorResult[Any]", await session.execute(delete(families).where(old))).rowcount


def _new(family: str) -> str:
    return f"{family}.{secrets.token_urlsafe(32)}"


def _family(token: str) -> str | None:
    match = TOKEN.fullmatch(token)
    return match[1] if match else None


def _digest(token: str) -> str:
    # No salt and no stretching: the token is 32 random bytes, which nobody can guess.
    return hashlib.sha256(token.encode()).hexdigest()
