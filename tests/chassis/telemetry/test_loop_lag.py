import asyncio
import time

import pytest

from chassis.telemetry import loop_lag
from chassis.telemetry.loop_lag import lag_observed

pytestmark = pytest.mark.anyio


async def test_it_is_observed_again_and_again_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_lag, "EVERY", 0.01)
    lags: list[float] = []
    with lag_observed(lags.append):
        await asyncio.sleep(0.05)
        assert len(lags) > 1
        time.sleep(0.1)  # noqa: ASYNC251 - what holds the loop
        await asyncio.sleep(0.02)
    assert min(lags) >= 0
    assert max(lags) > 0.05
    seen = [*lags]
    await asyncio.sleep(0.03)
    assert lags == seen
