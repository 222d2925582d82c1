"""Health: is the process alive, has it started, may it get traffic?"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from prometheus_client.core import GaugeMetricFamily, StateSetMetricFamily
from prometheus_client.metrics_core import Metric
from starlette.requests import Request
from starlette.responses import JSONResponse

from ..part import Check
from .checks import OK, Checks


class State(StrEnum):
    """Where the application is in its life."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


class Health:
    """The application's state and the three probes that tell of it.

    :param checks: what must work for the service to be ready, by name.
    """

    def __init__(self, *, checks: Mapping[str, Check] | None = None) -> None:
        self.checks = Checks(checks or {})
        self._state = State.STARTING

    @property
    def state(self) -> State:
        return self._state

    def start(self, resources: Mapping[str, object]) -> None:
        """Begin a life: checks will be given `resources`. A drain that came first stays."""
        self.checks.reset(resources)
        if self._state is State.STOPPED:
            self._state = State.STARTING

    def ready(self) -> None:
        """The start is over. Too late for an application that was told to end meanwhile."""
        if self._state is State.STARTING:
            self._state = State.READY

    def drain(self) -> None:
        """Want no more traffic, from now on."""
        self._state = State.DRAINING

    def stop(self) -> None:
        """Nothing is served any more."""
        self._state = State.STOPPED

    async def is_ready(self) -> bool:
        """Whether the application wants work, and everything that it needs for it can be used."""
        if self._state is not State.READY:
            return False
        results = await self.checks.results()
        # The state may have changed while the checks ran.
        return self.state is State.READY and all(result == OK for result in results.values())

    async def livez(self, request: Request) -> JSONResponse:
        """GET /livez: the process answers. Never depends on a backing service, or a restart would be its cure."""
        return JSONResponse({"status": "alive"})

    async def startupz(self, request: Request) -> JSONResponse:
        """GET /startupz: the start is over."""
        return self._answer(self._state is not State.STARTING)

    async def readyz(self, request: Request) -> JSONResponse:
        """GET /readyz: the application wants traffic, and everything that it needs for it can be used."""
        if self._state is not State.READY:  # the answer is no, whatever the backing services say
            return self._answer(False)
        ready = await self.is_ready()
        return self._answer(ready, checks=self.checks.last)

    def collect(self) -> Iterable[Metric]:
        """The state, and the last result of every check, for Prometheus."""
        states = {str(state): state is self._state for state in State}
        checks = GaugeMetricFamily(
            "app_check_up", "Whether the last check of a backing service passed.", labels=["check"]
        )
        for name, result in self.checks.last.items():
            checks.add_metric([name], result == OK)
        return [StateSetMetricFamily("app_state", "Where the application is in its life.", states), checks]

    def _answer(self, good: bool, **detail: object) -> JSONResponse:
        return JSONResponse({"status": self._state, **detail}, status_code=200 if good else 503)
