"""Limits: how large a request may be, how long it may take, and how many there may be at once.

Each is plain ASGI around an application, and absent where its setting is 0.
"""

import asyncio
import time
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import RETRY_SOON, ProblemResponse
from .exchange import Exchange, exchange_of

# What is left of a body that is too large is not worth reading.
CLOSE = {"connection": "close"}


class PathValues:
    """A number that holds everywhere, but for other ones below some paths: the longest that matches wins."""

    def __init__(self, everywhere: float, below: Mapping[str, float]) -> None:
        self._everywhere = everywhere
        self._below = sorted(((f"{path.rstrip('/')}/", value) for path, value in below.items()), key=_longest_first)

    def __bool__(self) -> bool:
        return bool(self._everywhere or any(value for _, value in self._below))

    def least(self) -> float:
        """The smallest number that is not 0. Raises ValueError if there is none."""
        return min(value for value in (self._everywhere, *(value for _, value in self._below)) if value)

    def at(self, path: str) -> float:
        """The number at `path`."""
        if self._below:
            for prefix, value in self._below:
                if f"{path}/".startswith(prefix):
                    return value
        return self._everywhere


def _longest_first(entry: tuple[str, float]) -> int:
    return -len(entry[0])


class BodyLimit:
    """Turns away requests with a body of more than `most` bytes: 413.

    At once where Content-Length tells; else, while a chunked body is read, as soon as it is too large.
    """

    def __init__(self, app: ASGIApp, *, most: PathValues) -> None:
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            received = exchange_of(scope).received
            length = received.get(b"content-length")
            # The server sees to it that there is one at most, and that a body is no longer than it says.
            response = self._refusal(scope, length) if length is not None else None
            if response:
                await response(scope, receive, send)
                return
            if b"transfer-encoding" in received:
                receive = self._counting(scope, receive)
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, length: bytes) -> ProblemResponse | None:
        if not length.isdigit():
            return ProblemResponse(scope, 400, "Content-Length is no number.", headers=CLOSE)
        most = self._most.at(scope["path"])
        # A number of 20 digits is too large whatever the limit, and Python refuses to read one of 5000.
        if most and (len(length) >= 20 or int(length) > most):
            return ProblemResponse(scope, 413, _too_large(most), headers=CLOSE)
        return None

    def _counting(self, scope: Scope, receive: Receive) -> Receive:
        most = self._most.at(scope["path"])
        if not most:
            return receive
        size = 0

        async def counting() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > most:
                # An HTTPException, because FastAPI makes a 400 of what else is raised while it reads.
                raise HTTPException(413, _too_large(most), headers=CLOSE)
            return message

        return counting


def _too_large(most: float) -> str:
    return f"A request body may have {most:.0f} bytes here."


class TimeLimit:
    """Ends requests whose response has not begun after `seconds`, by cancelling what works on it.

    504 and not 503, so that slowness and shed load differ in every graph; 408 where it was the client that had not
    sent its body. A response that has begun may go on as long as it likes: a stream is no failure. A plain `def`
    endpoint runs in a thread, which nothing can stop: its client is answered in time, the thread runs to its end.
    """

    # One timer looks after all requests: asyncio.timeout, with a timer each, costs a tenth of a small request. And
    # only when a time is over is asked whether the response has begun.

    def __init__(self, app: ASGIApp, *, seconds: PathValues) -> None:
        self._app = app
        self._seconds = seconds
        self._tick = min(max(seconds.least() / 10, 0.005), 0.5)
        self._running: dict[asyncio.Task[object], tuple[float, Exchange]] = {}
        self._expired: dict[asyncio.Task[object], bool] = {}
        self._watched: asyncio.AbstractEventLoop | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seconds = self._seconds.at(scope["path"]) if scope["type"] == "http" else 0
        if not seconds:
            await self._app(scope, receive, send)
            return
        task: asyncio.Task[object] = asyncio.current_task()  # type: ignore[assignment] # an application has one
        cancelling = task.cancelling()
        self._running[task] = (time.monotonic() + seconds, exchange_of(scope))
        self._watch()
        awaited_client: bool | None = None
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            # Ours, unless somebody else cancels besides (as in asyncio.timeout).
            if task in self._running or task.cancelling() - 1 > cancelling:
                raise
        finally:
            if self._running.pop(task, None) is None:
                awaited_client = self._expired.pop(task)
                task.uncancel()
        if awaited_client is not None and not exchange_of(scope).status:
            await _late(scope, seconds, awaited_client)(scope, receive, send)

    def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        if self._watched is not loop:
            self._watched = loop
            loop.call_later(self._tick, self._sweep)

    def _sweep(self) -> None:
        now = time.monotonic()
        for task, (deadline, exchange) in list(self._running.items()):
            if deadline <= now and not exchange.status:
                self._expire(task, exchange)
        self._watched = None
        if self._running:
            self._watch()

    def _expire(self, task: asyncio.Task[object], exchange: Exchange) -> None:
        del self._running[task]
        self._expired[task] = exchange.awaits_body
        task.cancel()


def _late(scope: Scope, seconds: float, awaits_client: bool) -> ProblemResponse:
    if awaits_client:
        return ProblemResponse(scope, 408, f"The request was not complete after {seconds:g} s.", headers=CLOSE)
    return ProblemResponse(scope, 504, f"There was no answer after {seconds:g} s.")


class ConcurrencyLimit:
    """Turns away what comes while `most` requests are worked on: 503 at once, instead of a queue without end."""

    def __init__(self, app: ASGIApp, *, most: int) -> None:
        self._app = app
        self._most = most
        self._running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # the lifespan would take a place for ever
            await self._app(scope, receive, send)
            return
        if self._running >= self._most:
            detail = "This process works on as many requests as it can."
            await ProblemResponse(scope, 503, detail, headers=RETRY_SOON)(scope, receive, send)
            return
        self._running += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._running -= 1
