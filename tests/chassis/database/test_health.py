from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from chassis import Service
from chassis.cli import main
from chassis_database import Database


@pytest.fixture
def service(config: Path, url: str, database: Database, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("APP_READY_CACHE_SECONDS", "0")
    monkeypatch.setattr("chassis.application.service_version", lambda *_, **__: "1.2.3")
    return Service(package="under_test", parts={"database": database})


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(service.app()) as client:
        yield client


def test_is_ready_by_itself_as_soon_as_the_schema_is_there(
    client: TestClient, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {"database": "ok", "schema": "SchemaBehindError"}
    assert "python -m under_test db upgrade" in caplog.text
    assert main(service, ["db", "upgrade"]) == 0
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["checks"] == {"database": "ok", "schema": "ok"}


def test_a_schema_that_was_right_is_not_asked_about_at_each_probe(client: TestClient, service: Service) -> None:
    assert main(service, ["db", "upgrade"]) == 0
    assert client.get("/readyz").status_code == 200
    before = _statements(client)
    assert client.get("/readyz").status_code == 200
    assert _statements(client) - before == 1


def test_another_database_is_asked_for_its_own_schema(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert main(service, ["db", "upgrade"]) == 0
    with TestClient(service.app()) as client:
        assert client.get("/readyz").status_code == 200
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/another.db")
    with TestClient(service.app()) as client:
        assert client.get("/readyz").json()["checks"]["schema"] == "SchemaBehindError"


def test_is_not_ready_while_the_database_is_away(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://127.0.0.1:1/nobody")
    with TestClient(service.app()) as client:  # it starts all the same
        answer = client.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"] == {"database": "UnavailableError", "schema": "UnavailableError"}
        assert client.get("/livez").status_code == 200


def _statements(client: TestClient) -> float:
    lines = client.get("/metrics").text.splitlines()
    counts = [line for line in lines if line.startswith("database_query_duration_seconds_count")]
    return sum(float(line.split()[-1]) for line in counts)
