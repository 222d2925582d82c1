import os
from pathlib import Path

import pytest

from chassis.layers import USUAL_NAMES


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder that says only what must be said."""
    directory = tmp_path / "config"
    directory.mkdir()
    (directory / "settings.toml").write_text('name = "under-test"\n', encoding="utf-8")
    for name in [name for name in os.environ if name.startswith("APP_") or name in USUAL_NAMES]:
        monkeypatch.delenv(name)  # what the shell of whoever runs the tests exports
    monkeypatch.setenv("APP_CONFIG_DIR", str(directory))
    return directory


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
