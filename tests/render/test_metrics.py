"""Metrics as Prometheus gets them: what a request is counted under, whatever becomes of it."""

from __future__ import annotations

import itertools
import re
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from commands import run
from conftest import Render
from required import require_program
from rich_api import ROUTES, with_api
from running import Running, running

SAMPLE = re.compile(r'http_requests_total\{method="(.*?)",route="(.*?)",status="(.*?)"\} (\S+)')
Sample = tuple[str, str, str]


@pytest.fixture(scope="module")
def service(rendered: Render, python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("measured") / "my-service"
    with_api(Path(shutil.copytree(rendered(), folder, symlinks=True)))
    with running(folder, python, APP_REQUEST_SECONDS="1") as started:
        yield started


def metrics(service: Running) -> str:
    return service.get("/metrics").body.decode()


def counted(service: Running) -> dict[Sample, float]:
    return {(method, route, status): float(n) for method, route, status, n in SAMPLE.findall(metrics(service))}


def added(service: Running, before: dict[Sample, float]) -> dict[Sample, float]:
    after = counted(service)
    return {sample: n - before.get(sample, 0) for sample, n in after.items() if n != before.get(sample, 0)}


@pytest.mark.parametrize(
    ("method", "path", "sample"),
    [
        ("GET", "/api/v1/items/1", ("GET", "/api/v1/items/{item_id}", "200")),
        ("GET", "/api/v1/items/1?verbose=true&x=1", ("GET", "/api/v1/items/{item_id}", "200")),
        ("GET", "/api/v1/outer/inner/items/1", ("GET", "/api/v1/outer/inner/items/{item_id}", "200")),
        ("GET", "/mounted/things/1", ("GET", "/mounted/things/{thing}", "200")),
        ("POST", "/mounted/things/1", ("POST", "/mounted/things/{thing}", "405")),
        ("GET", "/mounted/nothing/1", ("GET", "/mounted", "404")),
        ("GET", "/plain/1", ("GET", "/plain/{name}", "200")),
        ("HEAD", "/plain/1", ("HEAD", "/plain/{name}", "200")),
        ("GET", "/plain/1/2", ("GET", "/plain", "404")),
        ("GET", "/nothing/1", ("GET", "unmatched", "404")),
        ("GET", "/api/v1/nothing/1", ("GET", "unmatched", "404")),
        ("PATCH", "/api/v1/items/1", ("PATCH", "/api/v1/items/{item_id}", "405")),
        ("HEAD", "/api/v1/items/1", ("HEAD", "/api/v1/items/{item_id}", "405")),
        ("OPTIONS", "/api/v1/items/1", ("OPTIONS", "/api/v1/items/{item_id}", "405")),
        ("PROPFIND", "/api/v1/items/1", ("OTHER", "/api/v1/items/{item_id}", "405")),
        ("GET", "/api/hidden/slash", ("GET", "unmatched", "307")),
        ("GET", "/api/v1/items/x", ("GET", "/api/v1/items/{item_id}", "422")),
        ("GET", "/api/hidden/bug/1", ("GET", "/api/hidden/bug/{what}", "500")),
        ("GET", "/api/hidden/slow/5", ("GET", "/api/hidden/slow/{seconds}", "504")),
        ("GET", "/api/hidden/stream/3", ("GET", "/api/hidden/stream/{parts}", "200")),
        ("GET", "/docs", ("GET", "/docs", "200")),
        ("HEAD", "/docs", ("HEAD", "/docs", "200")),
        ("POST", "/docs", ("POST", "/docs", "405")),
        ("GET", "/docs/", ("GET", "/docs/", "308")),
        ("GET", "/docs/start.js", ("GET", "/docs/start.js", "200")),
        ("GET", "/docs/nothing.js", ("GET", "unmatched", "404")),
        ("GET", "/openapi.json", ("GET", "/openapi.json", "200")),
    ],
)
def test_a_request_is_counted_once_under_its_route(service: Running, method: str, path: str, sample: Sample) -> None:
    before = counted(service)
    assert service.get(path, method=method).status == int(sample[2])
    assert added(service, before) == {sample: 1}


@pytest.mark.parametrize("path", ["slow/0.4", "stream/100"])
def test_a_client_that_left_is_counted_as_such(service: Running, path: str) -> None:
    before = counted(service)
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(f"GET /api/hidden/{path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        if "stream" in path:
            connection.recv(10)
        else:
            time.sleep(0.1)
    deadline = time.monotonic() + 3
    while not (new := added(service, before)):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ((_, route, status),) = new
    assert route == f"/api/hidden/{path.partition('/')[0]}/" + ("{parts}" if "stream" in path else "{seconds}")
    assert status in {"499", "200"}  # what was sent before it left was an answer


def test_the_probes_and_the_metrics_themselves_are_not_counted(service: Running) -> None:
    before = counted(service)
    for path in ("/livez", "/readyz", "/startupz", "/metrics"):
        assert service.get(path).status == 200
    assert added(service, before) == {}


def test_nothing_that_a_client_invents_is_a_label(service: Running) -> None:
    for number, method in itertools.product(range(10), ("PROPFIND", "TRACE", "LOCK", "PURGE", "SEARCH")):
        service.get(f"/invented/{number}")
        service.get(f"/plain/{number}")
        service.get("/api/v1/items/1", method=method)
        service.get(f"/nothing/{number}", method=method)
        assert service.get("/nothing", method=f"METHOD{number}").status == 400  # the parser's answer: no request at all
    assert {route for _, route, _ in counted(service)} <= ROUTES
    assert {method for method, _, _ in counted(service)} <= {
        *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
        "OTHER",
    }
    assert counted(service)["OTHER", "unmatched", "404"] >= 50


def test_sizes_and_durations_are_of_the_same_requests(service: Running) -> None:
    service.get("/api/v1/items/1")
    text = metrics(service)
    of_route = 'method="GET",route="/api/v1/items/{item_id}"'
    total = sum(
        n for (method, route, _), n in counted(service).items() if f'method="{method}",route="{route}"' == of_route
    )
    for name in ("http_request_duration_seconds_count", "http_response_size_bytes_count"):
        assert f"{name}{{{of_route}}} {total}" in text


@pytest.mark.parametrize("wrong", ["", "# TYPE Wrong counter\nWrong 1\n"], ids=["as it is", "with something wrong"])
def test_promtool_finds_nothing_to_say(service: Running, wrong: str) -> None:
    require_program("promtool")
    service.get("/api/v1/items/1")
    done = run("promtool", "check", "metrics", typed=metrics(service) + wrong)
    assert (done.returncode == 0 and not done.stderr) is (wrong == ""), done.stderr
