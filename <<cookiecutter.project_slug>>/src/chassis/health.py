"""Health: is the process alive, has it started, may it get traffic?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum

from starlette.requests import Request
from starlette.responses import JSONResponse

Check = Callable[[], Awaitable[object]]
"""Returns if a backing service can be used, raises if it cannot."""


class State(StrEnum):
    """Where the application is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


class Health:
    """The application's state and the three probes that tell of it."""

    def __init__(self, *, checks: Mapping[str, Check], timeout: float = 2.0) -> None:
        self.state = State.STARTING
        self._checks = checks
        self._timeout = timeout

    async def livez(self, request: Request) -> JSONResponse:
        """GET /livez: the process answers. Never depends on a backing service, or a restart would be its cure."""
        return JSONResponse({"status": "alive"})

    async def startupz(self, request: Request) -> JSONResponse:
        """GET /startupz: the start is over."""
        started = self.state is not State.STARTING
        return JSONResponse({"status": self.state}, status_code=200 if started else 503)

    async def readyz(self, request: Request) -> JSONResponse:
        """GET /readyz: the application wants traffic, and everything that it needs for it can be used."""
        results = dict(zip(self._checks, await asyncio.gather(*map(self._run, self._checks.values())), strict=True))
        ready = self.state is State.READY and all(result == "ok" for result in results.values())
        return JSONResponse({"status": self.state, "checks": results}, status_code=200 if ready else 503)

    async def _run(self, check: Check) -> str:
        try:
            async with asyncio.timeout(self._timeout):
                await check()
        except TimeoutError:
            return f"no answer in {self._timeout:g} s"
        except Exception as error:
            return type(error).__name__  # the message may hold an address or a password
        return "ok"
