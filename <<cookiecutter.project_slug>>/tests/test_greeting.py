from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from service_package.__main__ import service


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(service.app()) as client:
        yield client


def test_greets_the_world(client: TestClient) -> None:
    assert client.get("/api/v1/greeting").json() == {"message": "Hello, World!"}


def test_greets_by_name(client: TestClient) -> None:
    assert client.get("/api/v1/greeting", params={"name": "Ada"}).json() == {"message": "Hello, Ada!"}


def test_refuses_an_empty_name(client: TestClient) -> None:
    assert client.get("/api/v1/greeting", params={"name": ""}).status_code == 422


def test_the_greeting_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_GREETING", "Bonjour")
    with TestClient(service.app()) as client:
        assert client.get("/api/v1/greeting").json() == {"message": "Bonjour, World!"}
