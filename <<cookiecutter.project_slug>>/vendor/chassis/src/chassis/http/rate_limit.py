"""The rate limit: so many requests of one client in a window, counted by this process alone.

Two processes allow twice as much. A limit that must hold for a whole service, as a log-in's does, needs a store that
its processes share.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import ip_network

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import ProblemResponse

Key = Callable[[Scope], str | None]
"""Names whom a request counts for; None for nobody, whose requests are not limited."""

# draft-ietf-httpapi-ratelimit-headers-10
EXCEEDED = "https://iana.org/assignments/http-problem-types#quota-exceeded"
POLICY = "default"
ROUNDING = 1e-6  # of a token


def client_address(scope: Scope) -> str | None:
    """The client's address; of IPv6 its /64, because a client has all of that.

    Behind a proxy it is the one in X-Forwarded-For if uvicorn trusts the proxy (FORWARDED_ALLOW_IPS).
    """
    client = scope.get("client")
    if client is None:
        return None
    host = str(client[0])
    return _network(host) if ":" in host else host


def _network(host: str) -> str:
    try:
        return str(ip_network((host.partition("%")[0], 64), strict=False))
    except ValueError:
        return host


class Buckets:
    """A token bucket a key, as one number each: the moment at which it will be full again (GCRA).

    :param quota: how many tokens a full bucket has.
    :param window: in how many seconds an empty one fills.
    :param most: how many keys are remembered; beyond, the one that was silent the longest is forgotten.
    """

    def __init__(self, *, quota: int, window: float, most: int) -> None:
        self._interval = window / quota
        self._window = window
        self._most = most
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, key: str, now: float) -> tuple[float, float]:
        """Take a token of `key` at `now` (seconds). Returns how many are left, and when it is full again.

        Less than 0 left: there was none, and none was taken.
        """
        full_at = max(self._full_at.get(key, now), now) + self._interval
        left = (now + self._window - full_at) / self._interval
        if left < -ROUNDING:
            full_at -= self._interval
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return left, full_at


class RateLimit:
    """Turns away what a client sends beyond `quota` requests in `window` seconds: 429, and when to come again."""

    def __init__(self, app: ASGIApp, *, quota: int, window: float, most: int, key: Key = client_address) -> None:
        self._app = app
        self._key = key
        self._interval = window / quota
        self._buckets = Buckets(quota=quota, window=window, most=most)
        self._policy = (b"ratelimit-policy", f'"{POLICY}";q={quota};w={math.ceil(window)}'.encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._key(scope) if scope["type"] == "http" else None
        if key is None:
            await self._app(scope, receive, send)
            return
        now = time.monotonic()
        left, full_at = self._buckets.take(key, now)
        limit = (b"ratelimit", b'"%s";r=%d;t=%d' % (POLICY.encode(), max(left + ROUNDING, 0), math.ceil(full_at - now)))

        async def send_telling(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), self._policy, limit]
            await send(message)

        refused = left < -ROUNDING
        await (self._refusal(scope, -left * self._interval) if refused else self._app)(scope, receive, send_telling)

    def _refusal(self, scope: Scope, seconds: float) -> ProblemResponse:
        wait = max(math.ceil(seconds), 1)
        return ProblemResponse(
            scope,
            429,
            f"Too many requests. The next one is welcome in {wait} s.",
            kind=EXCEEDED,
            members={"violated-policies": [POLICY]},
            headers={"retry-after": str(wait)},
        )
