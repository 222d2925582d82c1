import json
from collections.abc import Callable

import pytest
from fastapi import APIRouter
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from asgi import call, header, scope
from chassis.http import rate_limit
from chassis.http.rate_limit import Buckets, RateLimit, client_address

Serve = Callable[..., TestClient]


async def fine(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rate_limit, "time", clock)
    return clock


def test_a_bucket_empties_and_fills() -> None:
    buckets = Buckets(quota=3, window=30, most=10)
    assert [round(buckets.take("a", 0)[0]) for _ in range(3)] == [2, 1, 0]
    assert buckets.take("a", 0)[0] < 0
    assert round(buckets.take("b", 0)[0]) == 2
    assert buckets.take("a", 9.9)[0] < 0
    assert round(buckets.take("a", 10)[0]) == 0
    assert round(buckets.take("a", 1000)[0]) == 2


@pytest.mark.parametrize(("quota", "window"), [(1, 60), (3, 1), (7, 0.3), (100, 60), (1000, 3600)])
def test_exactly_the_quota_is_let_through(quota: int, window: float) -> None:
    buckets = Buckets(quota=quota, window=window, most=10)
    for start in (1234.5678, 1234.5678 + window * 2):
        assert sum(buckets.take("a", start)[0] > -rate_limit.ROUNDING for _ in range(quota * 2)) == quota


def test_memory_is_bounded_and_the_active_are_remembered() -> None:
    buckets = Buckets(quota=2, window=60, most=3)
    for other in range(100):
        buckets.take("active", 0)
        buckets.take(str(other), 0)
    assert len(buckets) == 3
    assert buckets.take("active", 0)[0] < 0


@pytest.mark.anyio
async def test_the_answer_tells_of_the_limit(clock: Clock) -> None:
    limited = RateLimit(fine, quota=2, window=60, most=10)
    first, second, third = [await call(limited, scope()) for _ in range(3)]
    assert [messages[0]["status"] for messages in (first, second, third)] == [200, 200, 429]
    assert header(first, b"ratelimit-policy") == b'"default";q=2;w=60'
    assert header(first, b"ratelimit") == b'"default";r=1;t=30'
    assert header(second, b"ratelimit") == b'"default";r=0;t=60'
    assert header(third, b"ratelimit") == b'"default";r=0;t=60'
    assert header(third, b"retry-after") == b"30"
    problem = json.loads(third[1]["body"])
    assert problem["type"].endswith("#quota-exceeded")
    assert problem["violated-policies"] == ["default"]


@pytest.mark.anyio
async def test_who_comes_again_when_told_is_let_in(clock: Clock) -> None:
    limited = RateLimit(fine, quota=3, window=10, most=10)
    for _ in range(3):
        await call(limited, scope())
    for _ in range(5):
        refused = await call(limited, scope())
        clock.now += float(header(refused, b"retry-after") or 0)
        assert (await call(limited, scope()))[0]["status"] == 200


@pytest.mark.anyio
async def test_clients_do_not_share(clock: Clock) -> None:
    limited = RateLimit(fine, quota=1, window=60, most=10)
    statuses = [
        (await call(limited, scope(client=(address, 1))))[0]["status"]
        for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2")
    ]
    assert statuses == [200, 429, 200]


@pytest.mark.parametrize(
    ("client", "key"),
    [
        (("192.0.2.1", 1), "192.0.2.1"),
        (("2001:db8:1:2:3:4:5:6", 1), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1), "fe80::/64"),
        (("not:an:address", 1), "not:an:address"),
        (None, None),
    ],
)
def test_whom_a_request_counts_for(client: tuple[str, int] | None, key: str | None) -> None:
    assert client_address(scope(client=client)) == key


@pytest.mark.anyio
async def test_a_key_of_the_teams_own(clock: Clock) -> None:
    def key(scope: Scope) -> str | None:
        name: bytes | None = dict(scope["headers"]).get(b"x-api-key")
        return name.decode() if name else None

    limited = RateLimit(fine, quota=1, window=60, most=10, key=key)
    statuses = [
        (await call(limited, scope(headers=headers)))[0]["status"]
        for headers in ([], [], [(b"x-api-key", b"a")], [(b"x-api-key", b"a")], [(b"x-api-key", b"b")])
    ]
    assert statuses == [200, 200, 200, 429, 200]


def test_a_service_limits_by_setting_and_never_its_probes(serve: Serve) -> None:
    router = APIRouter()

    @router.get("/")
    async def root() -> int:
        return 1

    client = serve(router, rate_limit_requests=2)
    assert [client.get("/").status_code for _ in range(3)] == [200, 200, 429]
    assert client.get("/livez").status_code == 200
    assert "ratelimit" not in client.get("/livez").headers
