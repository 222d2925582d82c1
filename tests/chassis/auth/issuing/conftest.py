"""A service that issues tokens, on an empty database of each kind."""

from __future__ import annotations

import logging
import sys
import threading
import types
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from auth.issuing.people import Company
from chassis.cli import main
from database.postgresql import temporary_database


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


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/data/test.db"
        return
    with temporary_database() as url:
        yield url


@pytest.fixture
def company(config: Path, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Company:
    """A service whose tables are there, with nobody in them."""
    module = types.ModuleType("under_test")
    folder = tmp_path / "src" / "under_test"
    (folder / "migrations").mkdir(parents=True)
    module.__path__ = [str(folder)]
    module.__file__ = str(folder / "__init__.py")
    monkeypatch.setitem(sys.modules, "under_test", module)
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")
    for name, value in {
        "DATABASE_URL": url,
        "AUTH_ISSUE": "true",
        "AUTH_ARGON2_MEMORY_KIB": "8",  # quick, and good for nothing else
        "AUTH_ARGON2_PASSES": "1",
        "ACCESS_LOG": "logging",
    }.items():
        monkeypatch.setenv(f"APP_{name}", value)
    company = Company()
    assert main(company.service(), ["db", "upgrade"]) == 0
    return company


@pytest.fixture
async def staffed(company: Company) -> AsyncIterator[Company]:
    """The same with the user ada, who may read and write; its database is open."""
    async with company.opened():
        await company.hire("ada", "read", "write")
        yield company


@pytest.fixture
def client(company: Company) -> Iterator[TestClient]:
    """A client of the service, where ada may read and write."""
    company.hire_now("ada", "read", "write")
    with TestClient(company.service().app()) as client:
        yield client
