import asyncio

import pytest

from chassis.telemetry.loop_lag import EVERY, lag_observed
from virtual_time import VirtualTime

pytestmark = pytest.mark.anyio


async def test_it_is_observed_again_and_again_until_the_end(virtual_time: VirtualTime) -> None:
    lags: list[float] = []
    with lag_observed(lags.append):
        await asyncio.sleep(EVERY * 4.5)
        assert lags == pytest.approx([0] * 4, abs=1e-6)
        virtual_time.pass_by(EVERY)  # something holds the loop
        await asyncio.sleep(EVERY)
    assert lags[4] == pytest.approx(EVERY / 2)
    seen = [*lags]
    await asyncio.sleep(EVERY * 3)
    assert lags == seen
