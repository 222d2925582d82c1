"""python -m <package> db: the migrations, as an admin process."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from chassis.service import Service

    from .migrations import Migrations
    from .settings import DatabaseSettings


@click.group("db")
def db() -> None:
    """Bring the database up to date, or write migrations."""


@db.command("upgrade")
@click.argument("revision", default="heads")
@click.pass_obj
def upgrade(service: Service, revision: str) -> None:
    """Apply the migrations that are missing. Several processes may do so at once: one does, the others wait."""
    asyncio.run(_migrations(service).upgrade(revision))


# What begins with a hyphen is no option here: -1.
@db.command("downgrade", context_settings={"ignore_unknown_options": True})
@click.argument("revision")
@click.pass_obj
def downgrade(service: Service, revision: str) -> None:
    """Take migrations back, down to REVISION: its name, base, or -1 for the last one alone."""
    asyncio.run(_migrations(service).downgrade(revision))


@db.command("revision")
@click.argument("message")
@click.option("--empty", is_flag=True, help="Without comparing: for a migration that you write yourself.")
@click.pass_obj
def revision(service: Service, message: str, empty: bool) -> None:
    """Write a migration: what the tables in the code have and the database has not. Read it before you commit it."""
    asyncio.run(_migrations(service).revision(message, compare=not empty))


@db.command("check")
@click.pass_obj
def check(service: Service) -> None:
    """Exit with 1 unless the migrations make the tables that the code has. Needs a database that is up to date."""
    asyncio.run(_migrations(service).check())
    click.echo("The migrations make the tables that the code has.")


@db.command("current")
@click.pass_obj
def current(service: Service) -> None:
    """Print the revisions that the database is at."""
    asyncio.run(_migrations(service).current())


@db.command("history")
@click.pass_obj
def history(service: Service) -> None:
    """Print all migrations, the newest first."""
    _migrations(service).history()


def _migrations(service: Service) -> Migrations:
    from .migrations import Migrations

    settings = service.load()
    service.configure_logging(settings)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # we say ourselves what was done, in a line each
    database = cast("Any", service.parts["database"])  # which brings these commands
    return Migrations(cast("DatabaseSettings", settings), database.schemas(), output=sys.stdout)
