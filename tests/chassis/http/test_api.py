from collections.abc import Callable

import pytest
from fastapi import APIRouter
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.testclient import TestClient

from chassis.http.api import Api

Serve = Callable[..., TestClient]


def test_no_layer_of_fastapi_does_what_the_chassis_does_too() -> None:
    outermost = Api().build_middleware_stack()
    assert type(outermost).__name__ == "ExceptionMiddleware"


def test_layers_that_somebody_adds_stay_and_so_does_what_is_below() -> None:
    api = Api(middleware=[Middleware(GZipMiddleware)])
    outermost = api.build_middleware_stack()
    assert isinstance(outermost, GZipMiddleware)
    assert type(outermost.app).__name__ == "ExceptionMiddleware"


def test_what_an_exception_says_goes_to_no_provider_of_logs(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("opentelemetry._logs.get_logger_provider", lambda: asked.append("provider"))
    failing = APIRouter()

    @failing.get("/bug")
    async def bug() -> None:
        raise ValueError("a secret")

    assert serve(failing).get("/bug").status_code == 500
    assert asked == []
