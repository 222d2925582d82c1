from sqlalchemy import text

from chassis.cli import main

from identity.__main__ import service
from identity.database import database

from .people import run_now


def test_the_migrations_make_the_tables_that_the_code_has(tables: None) -> None:
    assert main(service, ["db", "check"]) == 0


def test_a_difference_would_be_found(tables: None) -> None:
    run_now(_drop())
    assert main(service, ["db", "check"]) == 1
    run_now(_make_again())
    assert main(service, ["db", "check"]) == 0


async def _drop() -> None:
    async with database.session() as session:
        await session.execute(text("DROP INDEX ix_attempts_full_at"))


async def _make_again() -> None:
    async with database.session() as session:
        await session.execute(text("CREATE INDEX ix_attempts_full_at ON attempts (full_at)"))
