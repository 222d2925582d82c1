"""Users: whom the service lets log in."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import uuid4

from sqlalchemy import Row, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from .database import families, users

NAME = re.compile(r"[^\s\x00-\x1f\x7f]{1,200}")
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,100}")  # RFC 6749, 3.3


class UserError(Exception):
    """Something about a user cannot be done; the text says why."""


class User(NamedTuple):
    """A row of the table."""

    id: str
    name: str
    password: str
    scopes: frozenset[str]
    disabled: bool
    created_at: datetime


def normal_name(name: str) -> str:
    """The one form of a user name that all its spellings have."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


def joined(scopes: Iterable[str]) -> str:
    """`scopes` as the tables have them. Raises UserError for one that is none."""
    told = sorted(set(scopes))
    if wrong := next((scope for scope in told if not SCOPE.fullmatch(scope)), None):
        raise UserError(f"{wrong!r} is no scope: one has 1 to 100 visible characters of ASCII, no quotes among them.")
    return " ".join(told)


async def find(session: AsyncSession, name: str) -> User | None:
    """The user of that name."""
    row = (await session.execute(select(users).where(users.c.name == normal_name(name)))).first()
    return _user(row) if row else None


async def get(session: AsyncSession, id_: str) -> User | None:
    """The user with that id."""
    row = (await session.execute(select(users).where(users.c.id == id_))).first()
    return _user(row) if row else None


async def everyone(session: AsyncSession) -> Sequence[User]:
    """All users, by name."""
    return [_user(row) for row in await session.execute(select(users).order_by(users.c.name))]


async def add(session: AsyncSession, name: str, *, password: str, scopes: Iterable[str]) -> str:
    """Add a user with the hash `password`; return the id. Raises UserError."""
    name, id_ = normal_name(name), uuid4().hex
    if not NAME.fullmatch(name):
        raise UserError("A user name has 1 to 200 characters, and no space in it.")
    values = {
        "id": id_,
        "name": name,
        "password": password,
        "scopes": joined(scopes),
        "disabled": False,
        "created_at": datetime.now(UTC),
    }
    try:
        await session.execute(insert(users).values(values))
    except IntegrityError:
        raise UserError(f"There is a user {name} already. See: user list") from None
    return id_


async def change(session: AsyncSession, name: str, **values: object) -> None:
    """Change columns of the user of that name, and end all their sessions. Raises UserError."""
    user = await find(session, name)
    if user is None:
        raise UserError(f"There is no user {normal_name(name)}. See: user list")
    await session.execute(update(users).where(users.c.id == user.id).values(values))
    await session.execute(
        update(families)
        .where(families.c.user_id == user.id, families.c.revoked_at.is_(None))
        .values(revoked_at=datetime.now(UTC))
    )


async def renew_password(session: AsyncSession, user: User, password: str) -> None:
    """Store another hash of the same password, unless it was changed meanwhile."""
    same = (users.c.id == user.id, users.c.password == user.password)
    await session.execute(update(users).where(*same).values(password=password))


def _user(row: Row[Any]) -> User:
    return User(row.id, row.name, row.password, frozenset(row.scopes.split()), row.disabled, row.created_at)
