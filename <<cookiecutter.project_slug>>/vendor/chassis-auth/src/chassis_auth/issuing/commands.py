"""python -m <package> auth user ...: the people who may log in."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import click
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from chassis.settings import Settings
from chassis_database import UnavailableError

from ..verifier import as_auth
from . import users
from .passwords import Passwords, problem_with
from .sessions import Sessions

if TYPE_CHECKING:
    from chassis.service import Service

Result = TypeVar("Result")
Work = Callable[[AsyncSession], Awaitable[Result]]

scopes_option = click.option("--scope", "scopes", multiple=True, help="What the user may; may be given several times.")


def user_commands(database: Sessions) -> click.Group:
    """The commands, on the users in `database`."""

    user = click.Group("user", help="Add, change and list the people who may log in.")

    @user.command("add")
    @click.argument("name")
    @scopes_option
    @click.pass_obj
    def add(service: Service, name: str, scopes: tuple[str, ...]) -> None:
        """Add a user. The password is asked for, or read from standard input."""
        settings = service.load()
        hashed = _hash(settings, _asked(name))
        told = " ".join(scopes).split()
        id_ = _run(database, settings, lambda session: users.add(session, name, password=hashed, scopes=told))
        click.echo(f"{users.normal_name(name)} can log in; the subject of the tokens is {id_}.")

    @user.command("password")
    @click.argument("name")
    @click.pass_obj
    def password(service: Service, name: str) -> None:
        """Set another password, and end all sessions of the user."""
        settings = service.load()
        hashed = _hash(settings, _asked(name))
        _run(database, settings, lambda session: users.change(session, name, password=hashed))
        click.echo(f"{users.normal_name(name)} has another password, and must log in with it.")

    @user.command("disable")
    @click.argument("name")
    @click.pass_obj
    def disable(service: Service, name: str) -> None:
        """Let a user log in no more, and end all sessions."""
        _run(database, service.load(), lambda session: users.change(session, name, disabled=True))
        click.echo(f"{users.normal_name(name)} cannot log in any more. A token that was issued lasts until it expires.")

    @user.command("enable")
    @click.argument("name")
    @click.pass_obj
    def enable(service: Service, name: str) -> None:
        """Let a user log in again."""
        _run(database, service.load(), lambda session: users.change(session, name, disabled=False))
        click.echo(f"{users.normal_name(name)} can log in again.")

    @user.command("scopes")
    @click.argument("name")
    @scopes_option
    @click.pass_obj
    def scopes(service: Service, name: str, scopes: tuple[str, ...]) -> None:
        """Set all that a user may, and end all sessions of the user. Without --scope: nothing."""

        async def change(session: AsyncSession) -> None:
            await users.change(session, name, scopes=users.joined(" ".join(scopes).split()))

        _run(database, service.load(), change)
        click.echo(f"{users.normal_name(name)} may: {' '.join(scopes) or 'nothing'}.")

    @user.command("list")
    @click.pass_obj
    def list_(service: Service) -> None:
        """List the users: name, subject, whether disabled, scopes."""
        for each in _run(database, service.load(), users.everyone):
            click.echo(f"{each.name}  {each.id}  {'disabled' if each.disabled else 'enabled'}  {_told(each.scopes)}")

    return user


def _told(scopes: frozenset[str]) -> str:
    return " ".join(sorted(scopes)) or "-"


def _asked(name: str) -> str:
    # Never from the command line, which every process of the machine can read.
    if sys.stdin.isatty():
        password: str = click.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if wrong := problem_with(password):
        raise click.ClickException(wrong)
    return password


def _hash(settings: Settings, password: str) -> str:
    async def work() -> str:
        with Passwords(as_auth(settings)) as passwords:
            return await passwords.hash(password)

    return asyncio.run(work())


def _run(database: Sessions, settings: Settings, work: Work[Result]) -> Result:
    async def run() -> Result:
        async with database.open(settings), database.session() as session:
            return await work(session)

    try:
        return asyncio.run(run())
    except users.UserError as error:
        raise click.ClickException(str(error)) from None
    except UnavailableError as error:
        raise click.ClickException(f"{error.title}. {error.detail}") from None
    except (OperationalError, ProgrammingError) as error:  # of SQLite and PostgreSQL, for a table that is not there
        raise click.ClickException(
            f"The database did not take that: {type(error.orig).__name__}. Are its tables there? Run: db upgrade"
        ) from None
