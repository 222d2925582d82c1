"""How long a server that is away is waited for, and trying again for a while what it did not hear."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 5.0
PAUSE_SECONDS = 0.1


async def insisting(
    work: Callable[[], Awaitable[None]], seconds: float, *, is_vain: Callable[[], bool] = lambda: False
) -> None:
    """Do `work`, which may be done twice, over and over for so long, while its server cannot be reached.

    :param is_vain: whether trying again cannot help any more.

    Raises what `work` raised the last time.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            return await work()
        except (ConnectionError, TimeoutError):
            # Not in the last moment, in which whoever limits it would only see that the time is over, and not why.
            if is_vain() or time.monotonic() + 2 * PAUSE_SECONDS >= until:
                raise
        await asyncio.sleep(PAUSE_SECONDS)
