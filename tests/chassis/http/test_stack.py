from collections.abc import Callable

import pytest
from fastapi import APIRouter, FastAPI
from starlette.testclient import TestClient

from chassis import Settings
from chassis.http.rate_limit import client_address
from chassis.http.stack import stack
from chassis.settings import SettingsError

Serve = Callable[..., TestClient]
ORIGIN = "https://page.example"
OFF = {"body_limit_bytes": 0, "request_seconds": 0, "concurrency_limit": 0}
router = APIRouter()


@router.get("/")
async def root() -> int:
    return 1


@router.get("/bug")
async def bug() -> None:
    raise ValueError


def test_what_is_off_is_not_there() -> None:
    api = FastAPI()
    assert stack(api, Settings.model_validate({"name": "n", **OFF}), rate_limit_key=client_address) is api


def test_no_cors_unless_asked_for(serve: Serve) -> None:
    response = serve(router).get("/", headers={"origin": ORIGIN})
    assert "access-control-allow-origin" not in response.headers
    assert "vary" not in response.headers


@pytest.mark.parametrize("path", ["/", "/nothing", "/bug"])
def test_pages_of_listed_origins_may_read_answers_and_errors(serve: Serve, path: str) -> None:
    client = serve(router, cors_origins=(ORIGIN,))
    allowed = client.get(path, headers={"origin": ORIGIN})
    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert "x-request-id" in allowed.headers["access-control-expose-headers"]
    other = client.get(path, headers={"origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_a_failure_says_how_much_of_the_rate_limit_is_left(serve: Serve) -> None:
    response = serve(router, rate_limit_requests=5).get("/bug")
    assert response.status_code == 500
    assert response.headers["ratelimit"].startswith('"default";r=4')


def test_a_page_can_read_why_it_was_turned_away(serve: Serve) -> None:
    client = serve(router, cors_origins=(ORIGIN,), rate_limit_requests=1)
    refused = [client.get("/", headers={"origin": ORIGIN}) for _ in range(2)][1]
    assert refused.status_code == 429
    assert refused.headers["access-control-allow-origin"] == ORIGIN


def preflight(client: TestClient, origin: str, headers: str = "content-type") -> tuple[int, str, str]:
    asked = {
        "origin": origin,
        "access-control-request-method": "PUT",
        "access-control-request-headers": headers,
        "x-request-id": "abc",
    }
    response = client.options("/", headers=asked)
    return response.status_code, response.headers["content-type"].partition(";")[0], response.text


def test_a_preflight_is_answered_and_refused_with_a_problem(serve: Serve) -> None:
    client = serve(router, cors_origins=(ORIGIN,))
    assert preflight(client, ORIGIN)[0] == 200
    status, media_type, text = preflight(client, "https://other.example")
    assert (status, media_type) == (400, "application/problem+json")
    assert '"detail":"Disallowed CORS origin"' in text
    assert '"request_id":"abc"' in text
    assert preflight(client, ORIGIN, "x-other")[0] == 400


def test_cookies_from_everywhere_are_refused(serve: Serve) -> None:
    with pytest.raises(SettingsError, match="List the origins in cors_origins"):
        serve(router, cors_origins=("*",), cors_credentials=True)
