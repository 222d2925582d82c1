import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from chassis import UNPREFIXED_VARIABLES
from chassis.cli import main
from chassis_auth import make_token

from poller.__main__ import service
from poller.auth import READ, WRITE

from .web import Web, serving


@pytest.fixture(autouse=True)
def settings_of_a_test(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tests see config/ and what they set themselves, not your .env and what your shell exports."""
    for name in [*os.environ]:
        if name.startswith(("APP_", "OTEL_")) or name in UNPREFIXED_VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("APP_ENVIRONMENT", "test")
    monkeypatch.setenv("APP_POLL_PRIVATE", "true")
    monkeypatch.setenv("APP_POLL_PORTS", "")
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/test.db")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    """A web to poll, in the loop of the test."""
    async with serving() as pages:
        yield pages


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """The address of a web to poll, in a thread of its own."""
    address: list[str] = []
    is_up, is_over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with serving() as pages:
            address.append(pages.address)
            is_up.set()
            await is_over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert is_up.wait(10)
    yield address[0]
    loop.call_soon_threadsafe(is_over.set)
    thread.join()
    loop.close()


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database that has the tables that the migrations make: they run once for all tests."""
    folder = tmp_path_factory.mktemp("migrated")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DATABASE_URL", f"sqlite:///{folder}/test.db")
        assert main(service, ["db", "upgrade"]) == 0
    return folder


@pytest.fixture
def tables(migrated: Path, tmp_path: Path) -> None:
    """A database of the test's own, with those tables."""
    shutil.copytree(migrated, tmp_path, dirs_exist_ok=True)


@pytest.fixture
def client(tables: None) -> Iterator[TestClient]:
    """A client of the service that may do everything."""
    with TestClient(service.app()) as client:
        client.headers.update(token())
        yield client


def token(subject: str = "ada", scopes: tuple[str, ...] = (READ, WRITE)) -> dict[str, str]:
    """The header of somebody with a token."""
    return {"authorization": f"Bearer {make_token(service.load(), subject=subject, scopes=scopes)}"}
