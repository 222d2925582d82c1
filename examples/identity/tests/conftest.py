import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from chassis import UNPREFIXED_VARIABLES
from chassis.cli import main

from identity.__main__ import service

from .people import empty, hire, hire_now, opened, run_now


@pytest.fixture(autouse=True)
def settings_of_a_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests see config/ and what they set themselves, not your .env and what your shell exports.

    TEST_DATABASE_URL names an empty database to use instead of SQLite; what is in it goes.
    """
    for name in [*os.environ]:
        if name.startswith(("APP_", "OTEL_")) or name in UNPREFIXED_VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("APP_ENVIRONMENT", "test")
    monkeypatch.setenv("DATABASE_URL", os.environ.get("TEST_DATABASE_URL", f"sqlite:///{tmp_path}/test.db"))
    monkeypatch.setenv("APP_ARGON2_MEMORY_KIB", "8")  # quick, and good for nothing else
    monkeypatch.setenv("APP_ARGON2_PASSES", "1")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """The commands set logging up for a process of their own."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook, sys.unraisablehook)
    handlers, level = [*root.handlers], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database with the tables that the migrations make: they run once for all tests."""
    url = os.environ.get("TEST_DATABASE_URL", f"sqlite:///{tmp_path_factory.mktemp('migrated')}/test.db")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DATABASE_URL", url)
        assert main(service, ["db", "upgrade"]) == 0
    return url


@pytest.fixture
def tables(settings_of_a_test: None, migrated: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tables, with nobody in them."""
    monkeypatch.setenv("DATABASE_URL", migrated)
    yield
    monkeypatch.setenv("DATABASE_URL", migrated)
    run_now(empty())


@pytest.fixture
async def ada(tables: None) -> AsyncIterator[str]:
    """The id of the user ada, who may read and write. The database is open."""
    async with opened():
        yield await hire("ada", "read", "write")


@pytest.fixture
def client(tables: None) -> Iterator[TestClient]:
    """A client of the service, where ada may read and write."""
    hire_now("ada", "read", "write")
    with TestClient(service.app()) as client:
        yield client
