import os

import pytest

from chassis import UNPREFIXED_VARIABLES


@pytest.fixture(autouse=True)
def settings_of_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see config/ and what they set themselves, not your .env and what your shell exports."""
    for name in [*os.environ]:
        if name.startswith(("APP_", "OTEL_")) or name in UNPREFIXED_VARIABLES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("APP_ENVIRONMENT", "test")
