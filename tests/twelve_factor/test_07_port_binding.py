"""VII. Port binding: it serves HTTP by itself, on the port that it is told."""

from __future__ import annotations

import contextlib
import http.client
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import Done, run
from conftest import Render
from ports import free_port
from running import Running, environment_of, running
from team import take_over


@pytest.fixture(scope="module")
def bound(rendered: Render, python: Path) -> Iterator[Running]:
    with running(rendered(), python, PORT="0") as service:
        yield service


def serve(service: Path, python: Path, **variables: str) -> Done:
    """Start `service` with settings that it cannot start with."""
    return run(python, "-m", "my_service", "serve", cwd=service, env=environment_of(service, **variables))


def test_port_0_takes_a_free_one_and_says_which(bound: Running) -> None:
    (line,) = [event["message"] for event in bound.events if event["logger"] == "chassis.server"]
    assert line == f"listening on http://127.0.0.1:{bound.port}"
    assert bound.get("/livez").status == 200


@pytest.mark.parametrize("variable", ["PORT", "APP_PORT"])
def test_it_listens_where_it_is_told(variable: str, rendered: Render, python: Path) -> None:
    port = free_port()
    with running(rendered(), python, **{variable: str(port)}) as service:
        assert service.port == port
        assert service.get("/api/v1/greeting").status == 200


def test_what_kubernetes_says_of_other_services_is_no_port(rendered: Render, python: Path) -> None:
    injected = {"APP_PORT": "tcp://10.0.0.1:80", "APP_SERVICE_HOST": "10.0.0.1", "APP_PORT_80_TCP_PROTO": "tcp"}
    with running(rendered(), python, **injected) as service:
        assert service.get("/livez").status == 200


def test_a_taken_port_is_told_in_a_sentence(bound: Running, rendered: Render, python: Path) -> None:
    for variables in ({"PORT": str(bound.port)}, {"PORT": str(bound.port), "WEB_CONCURRENCY": "2"}):
        done = serve(rendered(), python, **variables)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == (
            f"Error: Cannot listen on 127.0.0.1:{bound.port}: Address already in use. "
            "Set PORT (0 takes a free one) or APP_HOST.\n"
        )
    assert bound.get("/livez").status == 200


@pytest.mark.parametrize("port", ["http", "-1", "65536", "80.5", ""])
def test_what_is_no_port_is_refused(port: str, rendered: Render, python: Path) -> None:
    done = serve(rendered(), python, PORT=port)
    assert (done.returncode, done.stdout) == (2, "")
    assert "PORT" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_is_its_own_server(bound: Running) -> None:
    """Bytes in, bytes out: no server before it, none to be injected; connections are kept alive."""
    with socket.create_connection(("127.0.0.1", bound.port), timeout=5) as plain:
        plain.sendall(b"GET /api/v1/greeting HTTP/1.0\r\n\r\n")
        assert plain.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", bound.port, timeout=5)) as connection:
        for _ in range(3):
            connection.request("GET", "/api/v1/greeting")
            response = connection.getresponse()
            assert (response.status, response.read()) == (200, b'{"message":"Hello, World!"}')


def test_the_probes_stay_on_the_port_when_the_metrics_move(rendered: Render, python: Path) -> None:
    admin_port = free_port()
    with running(rendered(), python, ADMIN_PORT=str(admin_port)) as service:
        main = [service.get(path).status for path in ("/livez", "/readyz", "/startupz", "/metrics")]
        service.port = admin_port
        admin = [service.get(path).status for path in ("/metrics", "/livez", "/api/v1/greeting")]
    assert (main, admin) == ([200, 200, 200, 404], [200, 404, 404])


def test_one_service_is_the_backing_service_of_another(
    bound: Running, rendered: Render, python: Path, tmp_path: Path
) -> None:
    caller = take_over(Path(shutil.copytree(rendered(), tmp_path / "caller")))
    with running(caller, python, APP_UPSTREAM_URL=f"http://127.0.0.1:{bound.port}") as service:
        assert service.get("/api/v1/calls/livez").json == {"status": 200}
