from pathlib import Path

import pytest
from service_process import make_service


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder that says only what must be said."""
    directory = tmp_path / "config"
    directory.mkdir()
    (directory / "settings.toml").write_text('name = "under-test"\n', encoding="utf-8")
    monkeypatch.setenv("APP_CONFIG_DIR", str(directory))
    return directory


@pytest.fixture(scope="session")
def sample_service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small service with this chassis; `service_process.running` starts it."""
    return make_service(tmp_path_factory.mktemp("sample"))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
