import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from chassis import Service
from chassis.cli import main
from chassis.part import Part, Schema
from chassis_database import NAMING_CONVENTION, Database
from database.sample import Item
from database.stored_service import command, make_stored_service

Run = Callable[..., int]

COLUMN = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

def upgrade() -> None:
    with op.batch_alter_table("items") as batch:
        batch.add_column(sa.Column("colour", sa.String(), nullable=True))

def downgrade() -> None:
    with op.batch_alter_table("items") as batch:
        batch.drop_column("colour")
"""
BROKEN = """
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

def upgrade() -> None:
    op.create_table("half", sa.Column("id", sa.Integer()))
    op.execute("INSERT INTO nowhere VALUES (1)")

def downgrade() -> None:
    pass
"""
TOKENS = """
import sqlalchemy as sa
from alembic import op

revision = "tokens_0001"
down_revision = None
branch_labels = ("tokens",)

def upgrade() -> None:
    op.create_table("tokens", sa.Column("id", sa.Integer(), primary_key=True))

def downgrade() -> None:
    op.drop_table("tokens")
"""
tokens = Table("tokens", MetaData(), Column("id", Integer, primary_key=True))


class Tokens(Part):
    """Another part of the service, which has a table of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        (folder / "0001_tokens.py").write_text(TOKENS, encoding="utf-8")

    def schema(self) -> Schema:
        return Schema("tokens", self._folder, tokens.metadata)


@pytest.fixture(autouse=True)
def environment(config: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")


@pytest.fixture
def run(database: Database) -> Run:
    """Run a command of a service with the table `items`, and whatever parts are given; gives its exit code."""

    def run(*arguments: str, **parts: Part) -> int:
        return main(Service(package="under_test", parts={"database": database, **parts}), arguments)

    return run


@pytest.fixture
def migrations(tmp_path: Path, package: str) -> Path:
    return tmp_path / "src" / package / "migrations"


def tables(database: Database, url: str) -> set[str]:
    async def ask() -> set[str]:
        settings = Database.settings(database_url=url)
        names = {
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
            "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
        }
        async with database.open(settings), database.session() as session:
            return {*await session.scalars(text(names[url.split(":")[0]]))} - {"alembic_version"}

    return asyncio.run(ask())


def test_upgrades_and_takes_back(run: Run, database: Database, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("db", "upgrade") == 0
    assert tables(database, url) == {"items"}
    assert run("db", "current") == 0
    assert "0001 (head)" in capsys.readouterr().out
    assert run("db", "downgrade", "-1") == 0
    assert tables(database, url) == set()
    assert run("db", "upgrade") == 0
    assert run("db", "downgrade", "base") == 0
    assert tables(database, url) == set()


def test_upgrading_twice_changes_nothing(run: Run, database: Database, url: str) -> None:
    assert run("db", "upgrade") == 0
    assert run("db", "upgrade") == 0
    assert tables(database, url) == {"items"}


def test_takes_back_as_many_as_it_is_told(run: Run, migrations: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (migrations / "0002_colour.py").write_text(COLUMN, encoding="utf-8")
    assert run("db", "upgrade") == 0
    assert run("db", "downgrade", "-1") == 0
    assert run("db", "current") == 0
    assert "0001" in capsys.readouterr().out
    assert run("db", "upgrade") == 0
    assert run("db", "downgrade", "-2") == 0
    capsys.readouterr()
    assert run("db", "downgrade", "-1") == 1
    assert "nothing to take back" in capsys.readouterr().err


def test_check_tells_whether_the_migrations_make_the_tables(
    run: Run, migrations: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("db", "upgrade") == 0
    assert run("db", "check") == 0
    (migrations / "0002_colour.py").write_text(COLUMN, encoding="utf-8")
    assert run("db", "check") == 1
    assert "Run db upgrade first." in capsys.readouterr().err
    assert run("db", "upgrade") == 0
    assert run("db", "check") == 1
    assert "colour" in capsys.readouterr().err


def test_writes_what_is_missing(
    package: str, migrations: Path, database: Database, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    class Wider(DeclarativeBase):
        metadata = MetaData(naming_convention=NAMING_CONVENTION)

    class Thing(Wider):
        __tablename__ = "things"
        id: Mapped[int] = mapped_column(primary_key=True)
        item: Mapped[str] = mapped_column(String(20), unique=True)

    Item.__table__.to_metadata(Wider.metadata)  # type: ignore[attr-defined] # a table has it
    service = Service(package=package, parts={"database": Database(package=package, metadata=Wider.metadata)})
    assert main(service, ["db", "upgrade"]) == 0
    assert main(service, ["db", "revision", "Add the things"]) == 0
    (written,) = set(migrations.glob("*.py")) - {migrations / "0001_items.py"}
    assert written.name.endswith("_add_the_things.py")
    content = written.read_text(encoding="utf-8")
    assert 'down_revision = "0001"' in content.replace("'", '"')
    assert "uq_things_item" in content
    assert main(service, ["db", "upgrade"]) == 0
    assert main(service, ["db", "check"]) == 0
    assert tables(database, url) == {"items", "things"}
    capsys.readouterr()
    assert main(service, ["db", "revision", "nothing new"]) == 1
    assert "--empty" in capsys.readouterr().err
    assert main(service, ["db", "revision", "by hand", "--empty"]) == 0
    assert len([*migrations.glob("*.py")]) == 3


def test_writes_the_first_one(run: Run, migrations: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (migrations / "0001_items.py").unlink()
    migrations.rmdir()
    assert run("db", "revision", "items") == 0
    assert run("db", "upgrade") == 0
    assert run("db", "check") == 0
    (written,) = migrations.glob("*.py")
    assert "sa.DateTime(timezone=True)" in written.read_text(encoding="utf-8")


def test_history_asks_no_database(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nobody")
    assert run("db", "history") == 0
    assert "<base> -> 0001 (head)" in capsys.readouterr().out


def test_a_database_that_is_away_is_a_sentence(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nobody")
    assert run("db", "upgrade") == 1
    assert "Is DATABASE_URL right" in capsys.readouterr().err


def test_an_unknown_revision_is_a_sentence(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("db", "upgrade", "nonsense") == 1
    assert capsys.readouterr().err == "Error: Can't locate revision identified by 'nonsense'.\n"


def test_two_last_migrations_are_a_sentence(run: Run, migrations: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (migrations / "0002_colour.py").write_text(COLUMN, encoding="utf-8")
    (migrations / "0003_other.py").write_text(COLUMN.replace('"0002"', '"0003"'), encoding="utf-8")
    assert run("db", "check") == 1
    assert "0002, 0003" in capsys.readouterr().err
    assert run("db", "revision", "more") == 1
    assert "down_revision" in capsys.readouterr().err


def test_a_migration_that_fails_leaves_nothing_behind(run: Run, migrations: Path, database: Database, url: str) -> None:
    (migrations / "0002_broken.py").write_text(BROKEN, encoding="utf-8")
    with pytest.raises(Exception, match="nowhere"):
        run("db", "upgrade")
    assert "half" not in tables(database, url)
    (migrations / "0002_broken.py").unlink()
    assert run("db", "upgrade") == 0


def test_a_database_that_is_ahead_is_left_alone(run: Run, migrations: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (migrations / "0002_colour.py").write_text(COLUMN, encoding="utf-8")
    assert run("db", "upgrade") == 0
    (migrations / "0002_colour.py").unlink()
    assert run("db", "upgrade") == 0
    assert "ahead of this version" in capsys.readouterr().out


def test_migrations_of_another_part_are_applied_with_the_teams(
    run: Run, tmp_path: Path, migrations: Path, database: Database, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    part = Tokens(tmp_path / "tokens")
    assert run("db", "upgrade", tokens=part) == 0
    assert tables(database, url) == {"items", "tokens"}
    assert run("db", "check", tokens=part) == 0
    assert run("db", "revision", "by hand", "--empty", tokens=part) == 0
    assert len([*migrations.glob("*.py")]) == 2
    assert run("db", "upgrade", tokens=part) == 0
    assert run("db", "downgrade", "-2", tokens=part) == 0
    assert tables(database, url) == {"tokens"}
    assert run("db", "upgrade", tokens=part) == 0
    assert run("db", "downgrade", "base", tokens=part) == 0
    assert tables(database, url) == {"tokens"}
    assert run("db", "downgrade", "tokens@base", tokens=part) == 0
    assert tables(database, url) == set()


def test_a_part_that_comes_later_is_added(run: Run, tmp_path: Path, database: Database, url: str) -> None:
    assert run("db", "upgrade") == 0
    assert run("db", "upgrade", tokens=Tokens(tmp_path / "tokens")) == 0
    assert tables(database, url) == {"items", "tokens"}


@pytest.mark.slow
@pytest.mark.anyio
async def test_of_several_processes_one_migrates_and_the_others_wait(url: str, tmp_path: Path) -> None:
    folder = make_stored_service(tmp_path / "service")
    first = folder / "src" / "sample" / "migrations" / "0001_items.py"
    slow = first.read_text(encoding="utf-8").replace(
        "def upgrade() -> None:", "def upgrade() -> None:\n    time.sleep(2)"
    )
    first.write_text(f"import time\n{slow}", encoding="utf-8")
    ran = await asyncio.gather(*(command(folder, "db", "upgrade", DATABASE_URL=url) for _ in range(4)))
    assert [code for code, _ in ran] == [0, 0, 0, 0], ran
    assert sum("applied 0001" in output for _, output in ran) == 1, ran


def test_rows_that_point_to_a_table_survive_its_copy(
    run: Run, migrations: Path, database: Database, url: str, tmp_path: Path
) -> None:
    """SQLite changes a table by making a new one; dropping the old one would delete what points to it."""
    if not url.startswith("sqlite"):
        pytest.skip("PostgreSQL changes tables in place")
    assert run("db", "upgrade") == 0
    file = url.removeprefix("sqlite:///")
    with sqlite3.connect(file) as raw:
        raw.execute("INSERT INTO items (id, name) VALUES (1, 'a')")
        raw.execute("CREATE TABLE parts (id INTEGER, item INTEGER REFERENCES items (id) ON DELETE CASCADE)")
        raw.execute("INSERT INTO parts VALUES (1, 1)")
    raw.close()
    copying = COLUMN.replace(
        "batch.add_column(", "batch.alter_column('name', nullable=True)\n        batch.add_column("
    )
    (migrations / "0002_colour.py").write_text(copying, encoding="utf-8")
    assert run("db", "upgrade") == 0
    with sqlite3.connect(file) as raw:
        assert raw.execute("SELECT count(*) FROM parts").fetchone() == (1,)
    raw.close()


LOSING = """
from alembic import op

revision = "0002"
down_revision = "0001"

def upgrade() -> None:
    op.execute("DELETE FROM items")
"""


def test_a_migration_that_leaves_rows_which_point_nowhere_is_taken_back(
    run: Run, migrations: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """PostgreSQL looks by itself; SQLite does not while a table is copied."""
    if not url.startswith("sqlite"):
        pytest.skip("PostgreSQL looks at each statement")
    assert run("db", "upgrade") == 0
    file = url.removeprefix("sqlite:///")
    with contextlib.closing(sqlite3.connect(file)) as raw, raw:
        raw.execute("INSERT INTO items (id, name) VALUES (1, 'a')")
        raw.execute("CREATE TABLE parts (id INTEGER, item INTEGER REFERENCES items (id))")
        raw.execute("INSERT INTO parts VALUES (1, 1)")
    (migrations / "0002_losing.py").write_text(LOSING, encoding="utf-8")
    assert run("db", "upgrade") == 1
    assert "A row of the table parts would point to one of items that is not there" in capsys.readouterr().err
    with contextlib.closing(sqlite3.connect(file)) as raw:
        assert raw.execute("SELECT count(*) FROM items").fetchone() == (1,)
        assert raw.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
