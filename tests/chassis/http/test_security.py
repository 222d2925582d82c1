from collections.abc import Callable

import pydantic
import pytest
from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from starlette.testclient import TestClient

from chassis import Settings
from chassis.http.security import DEFAULTS, StaticHeaders, headers

Serve = Callable[..., TestClient]
router = APIRouter()


@router.get("/")
async def root() -> int:
    return 1


@router.get("/page")
async def page() -> HTMLResponse:
    return HTMLResponse("", headers={"Content-Security-Policy": "default-src 'self'"})


@router.get("/bug")
async def bug() -> None:
    raise ValueError


@pytest.mark.parametrize("path", ["/", "/nothing", "/bug", "/openapi.json", "/docs"])
def test_every_response_has_them_once(serve: Serve, path: str) -> None:
    response = serve(router).get(path)
    for name in DEFAULTS:
        assert len(response.headers.get_list(name)) == 1
    assert "strict-transport-security" not in response.headers


def test_a_response_may_have_its_own(serve: Serve) -> None:
    response = serve(router).get("/page")
    assert response.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert response.headers["x-content-type-options"] == "nosniff"


def test_settings_add_replace_and_take_away() -> None:
    own = {"Referrer-Policy": "same-origin", "x-content-type-options": "", "X-Served-By": "me"}
    made = dict(headers(Settings(name="n", hsts_seconds=60, response_headers=own)))
    assert made[b"strict-transport-security"] == b"max-age=60; includeSubDomains"
    assert made[b"referrer-policy"] == b"same-origin"
    assert made[b"x-served-by"] == b"me"
    assert b"x-content-type-options" not in made


@pytest.mark.parametrize("wrong", [{"a b": "x"}, {"": "x"}, {"x": "a\r\nb: c"}, {"x": "ä"}, {"ä": "x"}])
def test_a_setting_cannot_break_the_response(wrong: dict[str, str]) -> None:
    with pytest.raises(pydantic.ValidationError):
        Settings(name="n", response_headers=wrong)


def test_the_list_that_was_given_is_left_alone() -> None:
    given = [(b"a", b"1")]
    assert StaticHeaders([(b"b", b"2")]).added_to(given) == [(b"a", b"1"), (b"b", b"2")]
    assert given == [(b"a", b"1")]
