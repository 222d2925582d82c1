import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter
from starlette.testclient import TestClient

from chassis import UNPREFIXED_VARIABLES, Resource, Service, Settings, parts
from children import with_default_signals
from service_process import make_service
from virtual_time import VirtualTime


def pytest_configure() -> None:
    with_default_signals()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests, which wait, begin first, in a few processes; the others do the quick ones, and then help them."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Whoever broke something sees at once which test says so, and why at the end."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        sys.stdout.write(f"\nFAILED {report.nodeid}\n")
        sys.stdout.flush()


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, Any, Any]:
    """What a test logged may be no UTF-8, and that is all that pytest-xdist sends from one process to another."""
    return _encodable((yield))


def _encodable(data: Any) -> Any:
    if isinstance(data, str):
        return data.encode(errors="backslashreplace").decode()
    if isinstance(data, dict):
        return {name: _encodable(value) for name, value in data.items()}
    return type(data)(map(_encodable, data)) if isinstance(data, (list, tuple)) else data


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A test that runs a command sets logging up for the whole process; the next one finds it as it was."""
    root = logging.getLogger()
    level, handlers = root.level, [*root.handlers]
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(False)


@pytest.fixture(autouse=True)
def parts_as_they_were() -> Iterator[None]:
    """A test that installs a part leaves none to the next."""
    parts.forget()
    yield
    parts.forget()


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder that says only what must be said."""
    directory = tmp_path / "config"
    directory.mkdir()
    (directory / "settings.toml").write_text('name = "under-test"\n', encoding="utf-8")
    for name in [name for name in os.environ if name.startswith("APP_") or name in UNPREFIXED_VARIABLES]:
        monkeypatch.delenv(name)  # what the shell of whoever runs the tests exports
    monkeypatch.setenv("APP_CONFIG_DIR", str(directory))
    return directory


@pytest.fixture(scope="session")
def sample_service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small service with this chassis; `service_process.running` starts it."""
    return make_service(tmp_path_factory.mktemp("sample"))


@pytest.fixture
def virtual_time(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    """Make the test's time virtual, in its event loop too."""
    clock = VirtualTime()
    clock.rule(monkeypatch)
    return clock


@pytest.fixture
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    if "virtual_time" in request.fixturenames:
        return "asyncio", {"loop_factory": request.getfixturevalue("virtual_time").loop}
    return "asyncio", {}


Serve = Callable[..., TestClient]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start a service with some endpoints and settings: `serve(router, docs=False)`; gives a client of it."""
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")
    with contextlib.ExitStack() as stack:

        def start(*routers: APIRouter, resources: Mapping[str, Resource] | None = None, **settings: Any) -> TestClient:
            service = Service(package="under_test", routers=routers, resources=resources)
            return stack.enter_context(TestClient(service.app(Settings(name="under-test", **settings))))

        yield start
