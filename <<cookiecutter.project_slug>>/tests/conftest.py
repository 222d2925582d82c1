import os

import pytest


@pytest.fixture(autouse=True)
def settings_of_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see config/ and what they set themselves, not your .env and what your shell exports."""
    for name in [*os.environ]:
        if name.startswith("APP_") or name in {"BROKER_URL", "DATABASE_URL", "LOG_LEVEL", "PORT", "WEB_CONCURRENCY"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("APP_ENVIRONMENT", "test")
