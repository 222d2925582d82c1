"""A team's package with one table, and an empty database of each kind."""

import contextlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from chassis_database import Database
from database.postgresql import temporary_database
from database.sample import ITEMS, Base


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a team's package with one migration, which makes the table of `Item`."""
    folder = tmp_path / "src" / "under_test"
    (folder / "migrations").mkdir(parents=True)
    (folder / "migrations" / "0001_items.py").write_text(ITEMS, encoding="utf-8")
    module = types.ModuleType("under_test")
    module.__path__ = [str(folder)]
    module.__file__ = str(folder / "__init__.py")
    monkeypatch.setitem(sys.modules, "under_test", module)
    return "under_test"


@pytest.fixture
def database(package: str) -> Database:
    return Database(package=package, metadata=Base.metadata)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/data/test.db"
        return
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(temporary_database())
