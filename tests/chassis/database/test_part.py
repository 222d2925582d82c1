import asyncio
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from sqlalchemy import func, select

from chassis import Service, Settings
from chassis.cli import main
from chassis.part import Part
from chassis_database import Database
from chassis_database.settings import DatabaseSettings
from database.sample import Base, Item
from service_process import path_of

OPENED = """
import asyncio, sys
from sqlalchemy import MetaData, text
from chassis_database import Database

async def main(url):
    database = Database(package="nowhere", metadata=MetaData())
    async with database.open(Database.settings(database_url=url)):
        if url.startswith("sqlite"):
            async with database.session() as session:
                await session.execute(text("SELECT 1"))
    print(*sorted({"aiosqlite", "alembic", "asyncpg", "mako", "opentelemetry.sdk"} & sys.modules.keys()))

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.parametrize(
    ("url", "imported"), [("sqlite:///test.db", "aiosqlite"), ("postgresql://127.0.0.1:1/x", "asyncpg")]
)
def test_imports_nothing_that_is_not_used(url: str, imported: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPENED, url]
    environ = {**os.environ, "PYTHONPATH": path_of(tmp_path)}
    ran = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environ)
    assert (ran.stdout.split(), ran.stderr) == ([imported], "")


def test_a_command_of_the_teams_opens_the_database(
    config: Path,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    @click.command()
    @click.pass_obj
    async def store(settings: Settings) -> None:
        assert isinstance(settings, DatabaseSettings)
        async with database.open(settings):
            async with database.session() as session:
                session.add(Item(name="a"))
            async with database.session() as session:
                click.echo(f"{await session.scalar(select(func.count()).select_from(Item))} items")

    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/data/test.db")
    service = Service(package="under_test", parts={"database": database}, commands=[store])
    assert main(service, ["db", "upgrade"]) == 0
    assert main(service, ["store"]) == 0
    assert capsys.readouterr().out.endswith("1 items\n")


def test_the_folder_of_the_file_is_made(database: Database, tmp_path: Path) -> None:
    async def make_tables() -> None:
        settings = DatabaseSettings(database_url=f"sqlite:///{tmp_path}/a/b/test.db")
        async with database.open(settings), database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)

    asyncio.run(make_tables())
    assert (tmp_path / "a" / "b" / "test.db").is_file()


def test_other_parts_without_tables_are_nothing_to_migrate(database: Database, tmp_path: Path) -> None:
    database.join({"database": database, "other": Part()})
    assert [schema.migrations for schema in database.schemas()] == [tmp_path / "src" / "under_test" / "migrations"]
