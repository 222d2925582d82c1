"""Traces, as a collector gets them; and what becomes of a service whose collector is not there."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from commands import run
from conftest import Render
from environments import service_path, without_project
from rich_api import with_api
from running import Running, running

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
SERVER, ERROR = 2, 2  # the protocol's numbers
FLUSH_SECONDS = 3


@dataclass
class Span:
    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    status: int
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Collector:
    """Takes what is sent by OTLP over HTTP, on a free port."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def __enter__(self) -> Collector:
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.take(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Be quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, body: bytes) -> None:
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = attributes(of_resource.resource.attributes)
            self.spans += [read(span, resource) for scope in of_resource.scope_spans for span in scope.spans]

    def named(self, name: str) -> Span:
        (span,) = (span for span in self.spans if span.name == name)
        return span


def attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in pairs}


def read(span: Any, resource: dict[str, Any]) -> Span:
    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
    return Span(span.name, span.kind, *ids, span.status.code, attributes(span.attributes), resource)


@pytest.fixture(scope="module")
def service(rendered: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traced") / "my-service"
    return with_api(Path(shutil.copytree(rendered(), folder, symlinks=True)))


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def events(started: Running) -> list[dict[str, Any]]:
    return [json.loads(line) for line in started.output]


def test_a_sampled_request_is_one_span_and_its_lines_bear_its_ids(
    service: Path, python: Path, collector: Collector
) -> None:
    with running(service, python, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as started:
        assert started.get("/api/hidden/child", headers=SAMPLED).status == 200
        assert started.get("/api/v1/outer/inner/items/7", headers={"x-request-id": "mine"}).status == 200
        assert started.get("/livez").status == 200
        assert started.stop() == 0
    assert sorted(span.name for span in collector.spans) == [
        "GET /api/hidden/child",
        "GET /api/v1/outer/inner/items/{item_id}",
        "child",
    ]
    span, child = collector.named("GET /api/hidden/child"), collector.named("child")
    assert (span.trace_id, span.parent_id, span.kind, span.status) == (TRACE, PARENT, SERVER, 0)
    assert (child.trace_id, child.parent_id) == (TRACE, span.span_id)
    assert span.attributes["http.route"] == "/api/hidden/child"
    assert span.attributes["http.response.status_code"] == 200
    assert span.resource["service.name"] == "my-service"
    assert span.resource["service.version"] == "0.1.0"
    lines = [event for event in events(started) if event.get("trace_id") == TRACE]
    assert [line["message"] for line in lines] == ["working", "GET /api/hidden/child 200"]
    assert {line["span_id"] for line in lines} == {span.span_id}
    (line,) = (event for event in events(started) if event.get("request_id") == "mine")
    other = collector.named("GET /api/v1/outer/inner/items/{item_id}")
    assert (line["trace_id"], line["span_id"], other.parent_id) == (other.trace_id, other.span_id, "")


def test_failures_are_told_and_secrets_are_not(service: Path, python: Path, collector: Collector) -> None:
    with running(service, python, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as started:
        assert started.get("/api/hidden/bug/42").status == 500
        assert started.get("/nothing/here").status == 404
        assert started.get("/docs").status == 200
        assert started.stop() == 0
    bug = collector.named("GET /api/hidden/bug/{what}")
    assert (bug.status, bug.attributes["http.response.status_code"]) == (ERROR, 500)
    unmatched = collector.named("GET")
    assert (unmatched.status, unmatched.attributes["http.response.status_code"]) == (0, 404)
    assert collector.named("GET /docs").attributes["http.route"] == "/docs"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "argument", "following", "own"),
    [("always_off", "", 0, 0), ("parentbased_always_off", "", 20, 0), ("traceidratio", "1", 20, 20)],
)
def test_the_standard_s_samplers_decide(
    sampler: str, argument: str, following: int, own: int, service: Path, python: Path, collector: Collector
) -> None:
    variables = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    with running(service, python, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, **variables) as started:
        for _ in range(20):
            started.get("/api/hidden/child", headers=SAMPLED)
            started.get("/api/hidden/child")
        exemplars = started.get("/metrics", headers={"accept": "application/openmetrics-text"}).body.decode()
        assert started.stop() == 0
    names = [span.name for span in collector.spans if span.trace_id == TRACE]
    assert names.count("GET /api/hidden/child") == names.count("child") == following
    assert len(collector.spans) - len(names) == 2 * own
    assert ("# {trace_id=" in exemplars) is (following + own > 0)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["nobody listens", "hangs", "resets"])
def test_a_collector_that_is_not_there_hurts_nobody(how: str, service: Path, python: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        if how == "nobody listens":
            listener.close()
        elif how == "resets":
            threading.Thread(target=close_all, args=(listener,), daemon=True).start()
        variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_BSP_SCHEDULE_DELAY": "100"}
        with running(service, python, **variables) as started:
            slowest = 0.0
            until = time.monotonic() + 1
            while time.monotonic() < until:
                began = time.monotonic()
                assert started.get("/api/hidden/child").status == 200
                slowest = max(slowest, time.monotonic() - began)
            assert slowest < 0.5
            began = time.monotonic()
            assert started.stop() == 0
            assert time.monotonic() - began < FLUSH_SECONDS + 1.5
    told = [event for event in events(started) if event["level"] != "info"]
    assert told
    assert len(told) < 20, "a collector's absence floods the log"
    assert not [event for event in told if event["logger"] == "uncaught"]


def close_all(listener: socket.socket) -> None:
    while True:
        try:
            listener.accept()[0].close()
        except OSError:
            return


def test_what_cannot_be_followed_is_told_once(service: Path, python: Path) -> None:
    with running(service, python, OTEL_TRACES_EXPORTER="zipkin") as started:
        assert started.get("/api/hidden/child").status == 200
        assert started.stop() == 0
    (told,) = (event for event in events(started) if event["level"] == "warning")
    assert "OTEL_TRACES_EXPORTER=zipkin is not known here" in told["message"]


@pytest.mark.slow
@pytest.mark.usefixtures("really_started")
@pytest.mark.parametrize("endpoint", ["", "http://127.0.0.1:9"])
def test_the_sdk_is_imported_only_when_it_is_asked_for(
    endpoint: str, service: Path, python: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; from my_service.__main__ import service; service.app();"
        "print([name for name in sys.modules if re.match('opentelemetry.(sdk|exporter|proto)', name)])"
    ).replace("import sys;", "import re, sys;")
    environment = {**without_project(), "PYTHONPATH": service_path(service), "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
    done = run(python, "-c", code, cwd=service, env=environment)
    assert done.returncode == 0, done.stderr
    assert bool(re.search("opentelemetry.sdk", done.stdout)) is bool(endpoint), done.stdout
