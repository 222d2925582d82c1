"""python -m identity user ...: the people who may log in."""

import contextlib
import sys
from collections.abc import AsyncIterator

import click
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from chassis_database import UnavailableError

from . import users
from .database import database
from .passwords import Passwords, problem_with
from .settings import Settings

scopes_option = click.option("--scope", "scopes", multiple=True, help="What the user may; may be given several times.")


@click.group()
def user() -> None:
    """Add, change and list the people who may log in."""


@user.command()
@click.argument("name")
@scopes_option
@click.pass_obj
async def add(settings: Settings, name: str, scopes: tuple[str, ...]) -> None:
    """Add a user. The password is asked for, or read from standard input."""
    hashed = await _hash(settings, _asked(name))
    async with _session(settings) as session:
        id_ = await users.add(session, name, password=hashed, scopes=_split(scopes))
    click.echo(f"{users.normal_name(name)} can log in; the subject of the tokens is {id_}.")


@user.command()
@click.argument("name")
@click.pass_obj
async def password(settings: Settings, name: str) -> None:
    """Set another password, and end all sessions of the user."""
    hashed = await _hash(settings, _asked(name))
    async with _session(settings) as session:
        await users.change(session, name, password=hashed)
    click.echo(f"{users.normal_name(name)} has another password, and must log in with it.")


@user.command()
@click.argument("name")
@click.pass_obj
async def disable(settings: Settings, name: str) -> None:
    """Let a user log in no more, and end all sessions."""
    async with _session(settings) as session:
        await users.change(session, name, disabled=True)
    click.echo(f"{users.normal_name(name)} cannot log in any more. A token that was issued lasts until it expires.")


@user.command()
@click.argument("name")
@click.pass_obj
async def enable(settings: Settings, name: str) -> None:
    """Let a user log in again."""
    async with _session(settings) as session:
        await users.change(session, name, disabled=False)
    click.echo(f"{users.normal_name(name)} can log in again.")


@user.command()
@click.argument("name")
@scopes_option
@click.pass_obj
async def scopes(settings: Settings, name: str, scopes: tuple[str, ...]) -> None:
    """Set all that a user may, and end all sessions of the user. Without --scope: nothing."""
    async with _session(settings) as session:
        await users.change(session, name, scopes=users.joined(_split(scopes)))
    click.echo(f"{users.normal_name(name)} may: {' '.join(scopes) or 'nothing'}.")


@user.command("list")
@click.pass_obj
async def list_(settings: Settings) -> None:
    """List the users: name, subject, whether disabled, scopes."""
    async with _session(settings) as session:
        found = await users.everyone(session)
    for each in found:
        told = " ".join(sorted(each.scopes)) or "-"
        click.echo(f"{each.name}  {each.id}  {'disabled' if each.disabled else 'enabled'}  {told}")


def _split(scopes: tuple[str, ...]) -> list[str]:
    return " ".join(scopes).split()


def _asked(name: str) -> str:
    # Never from the command line, which every process of the machine can read.
    if sys.stdin.isatty():
        password: str = click.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    if wrong := problem_with(password):
        raise click.ClickException(wrong)
    return password


async def _hash(settings: Settings, password: str) -> str:
    with Passwords(settings) as passwords:
        return await passwords.hash(password)


@contextlib.asynccontextmanager
async def _session(settings: Settings) -> AsyncIterator[AsyncSession]:
    """A session of the database. What goes wrong in it is told in a sentence: raises ClickException."""
    try:
        async with database.open(settings), database.session() as session:
            yield session
    except users.UserError as error:
        raise click.ClickException(str(error)) from None
    except UnavailableError as error:
        raise click.ClickException(f"{error.title}. {error.detail}") from None
    except (OperationalError, ProgrammingError) as error:  # of SQLite and PostgreSQL, for a table that is not there
        raise click.ClickException(
            f"The database did not take that: {type(error.orig).__name__}. Are its tables there? Run: db upgrade"
        ) from None
