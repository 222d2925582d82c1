from pathlib import Path

import pytest


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder that says only what must be said."""
    directory = tmp_path / "config"
    directory.mkdir()
    (directory / "settings.toml").write_text('name = "under-test"\n', encoding="utf-8")
    monkeypatch.setenv("APP_CONFIG_DIR", str(directory))
    return directory


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
