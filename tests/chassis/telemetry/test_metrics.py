import gc
import re
import subprocess
import timeit
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter
from prometheus_client import REGISTRY, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from starlette.testclient import TestClient

from chassis import Service
from chassis.settings import Settings
from chassis.telemetry.metrics import METHODS, Metrics
from chassis.versions import chassis_version, service_version
from required import require_proc, require_program

SETTINGS = Settings(name="under-test", commit="0a1b2c3")
OPENMETRICS = {"accept": "application/openmetrics-text; version=1.0.0, text/plain; q=0.5"}

router = APIRouter(prefix="/api")


@router.get("/items/{item}")
async def item(item: str) -> str:
    return item


class PoolSize:
    """A collector that a team might bring."""

    def collect(self) -> list[Metric]:
        return [GaugeMetricFamily("pool_size", "Connections that are open.", value=3)]


class Broken:
    def collect(self) -> list[Metric]:
        raise RuntimeError("the pool is gone")


@pytest.fixture
def service() -> Service:
    return Service(package="under_test", routers=[router], collectors=[PoolSize()])


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    with TestClient(service.app(SETTINGS)) as client:
        yield client


def scraped(client: TestClient) -> dict[str, list[tuple[dict[str, str], float]]]:
    samples: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in parse(client.get("/metrics").text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return samples


def test_rate_errors_duration_and_size_by_route(client: TestClient) -> None:
    for path in ("/api/items/1", "/api/items/22", "/nowhere"):
        client.get(path)
    samples = scraped(client)
    labels = {"method": "GET", "route": "/api/items/{item}"}
    assert ({**labels, "status": "200"}, 2) in samples["http_requests_total"]
    assert ({"method": "GET", "route": "unmatched", "status": "404"}, 1) in samples["http_requests_total"]
    assert (labels, 2) in samples["http_request_duration_seconds_count"]
    assert (labels, len('"1"') + len('"22"')) in samples["http_response_size_bytes_sum"]


def test_what_is_running_and_in_which_state(client: TestClient) -> None:
    samples = scraped(client)
    ((info, one),) = samples["app_info"]
    assert one == 1
    assert info == {
        "commit": "0a1b2c3",
        "version": service_version("under-test", package="under_test"),
        "chassis_version": chassis_version(),
    }
    assert ({"app_state": "ready"}, 1) in samples["app_state"]
    assert {labels["app_state"] for labels, _ in samples["app_state"]} == {"starting", "ready", "draining", "stopped"}


def test_the_process(client: TestClient) -> None:
    require_proc()
    assert "process_cpu_seconds_total" in scraped(client)


def test_collector_event_loop_and_team(client: TestClient) -> None:
    samples = scraped(client)
    for name in ("python_gc_collections_total", "event_loop_lag_seconds_count"):
        assert name in samples
    assert samples["http_requests_in_flight"] == [({}, 0)]
    assert samples["pool_size"] == [({}, 3)]


def test_counters_that_a_team_makes_anywhere_are_there(client: TestClient) -> None:
    orders = Counter("orders_of_a_test", "Orders.")
    try:
        orders.inc()
        assert scraped(client)["orders_of_a_test_total"] == [({}, 1)]
    finally:
        REGISTRY.unregister(orders)


def test_a_broken_collector_costs_its_own_metrics_only(caplog: pytest.LogCaptureFixture) -> None:
    service = Service(package="under_test", collectors=[Broken(), PoolSize()])
    with TestClient(service.app(SETTINGS)) as client:
        assert "pool_size" in scraped(client)
    assert "the collector Broken failed" in caplog.messages


def test_one_that_is_registered_twice_appears_once() -> None:
    orders = Counter("orders_of_a_test", "Orders.")
    try:
        service = Service(package="under_test", collectors=[orders])
        with TestClient(service.app(SETTINGS)) as client:
            assert client.get("/metrics").text.count("# TYPE orders_of_a_test_total") == 1
    finally:
        REGISTRY.unregister(orders)


@pytest.mark.slow
def test_nothing_that_a_client_invents_makes_a_series(client: TestClient) -> None:
    client.request("BREW", "/api/items/1")
    client.get("/nowhere")
    client.post("/api/items/1")
    series = len(client.get("/metrics").text.splitlines())
    for n in range(100):
        client.get(f"/nowhere/{n}")
        client.get(f"/api/items/1?query={n}")
        client.request(f"METHOD{n}", "/api/items/1")
        client.request(f"METHOD{n}", f"/nowhere/{n}")
        client.post(f"/api/items/{n}")
    client.request("BREW", "/nowhere")
    grown = client.get("/metrics").text.splitlines()
    routes = {match[1] for line in grown if (match := re.search(r'route="([^"]*)"', line))}
    assert routes == {"/api/items/{item}", "unmatched"}
    methods = {match[1] for line in grown if (match := re.search(r'method="([^"]*)"', line))}
    assert methods <= METHODS | {"OTHER"}
    assert len(grown) - series < 60  # OTHER on a route that was not there before: one histogram more


def test_invented_methods_take_no_memory() -> None:
    metrics = Metrics()
    for n in range(1000):
        metrics.observe(f"METHOD{n}", "unmatched", 405, 0.001, 10)
    assert len(metrics._recorders) == 0
    assert metrics.requests.labels("OTHER", "unmatched", 405)._value.get() == 1000


def test_many_alike_count_as_much_as_each_alone() -> None:
    each, alike = Metrics(), Metrics()
    seconds, sizes = [0.0, 0.005, 0.0051, 0.2, 0.3, 99.0, 99.5], [0, 1, 2, 3, 4, 5, 6]
    for one, size in zip(seconds, sizes, strict=True):
        each.observe("GET", "/items", 200, one, size)
    alike.observe_alike("GET", "/items", 200, seconds, sizes)
    assert values(alike) == values(each)


def values(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Of all series that tell of requests."""
    families = [family for family in metrics.registry.collect() if family.name.startswith("http_")]
    return {
        (sample.name, *sample.labels.values()): round(sample.value, 9)
        for family in families
        for sample in family.samples
    }


def test_exemplars_where_openmetrics_is_asked_for(service: Service, client: TestClient) -> None:
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    service.metrics.observe("GET", "/traced", 200, 0.02, 10, trace_id)
    response = client.get("/metrics", headers=OPENMETRICS)
    assert response.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    exemplars = [
        (sample.labels["le"], sample.exemplar.labels, sample.exemplar.value)
        for family in parse_openmetrics(response.text)  # type: ignore[no-untyped-call]
        for sample in family.samples
        if sample.exemplar
    ]
    assert exemplars == [("0.025", {"trace_id": trace_id}, 0.02)]
    plain = client.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert trace_id not in plain.text


@pytest.mark.parametrize(
    "accept", ["*/*", "", "text/html", "application/openmetrics-text; version=no", "text/plain; version=1.x", ";;=,"]
)
def test_any_accept_header_gets_an_answer(client: TestClient, accept: str) -> None:
    assert client.get("/metrics", headers={"accept": accept}).status_code == 200


@pytest.mark.parametrize("wrong", ["", "# TYPE Wrong counter\nWrong 1\n"])
def test_promtool_finds_nothing_to_say(client: TestClient, wrong: str) -> None:
    promtool = require_program("promtool")
    client.get("/api/items/1")
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=client.get("/metrics").text + wrong,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode == 0 and not checked.stderr) is (wrong == ""), checked.stderr


def nanoseconds(call: Any, *arguments: Any) -> float:
    timer = timeit.Timer(lambda: call(*arguments))
    gc.disable()
    try:
        return min(timer.repeat(repeat=20, number=2000)) / 2000 * 1e9
    finally:
        gc.enable()


def test_accounting_for_a_request_costs_next_to_nothing() -> None:
    metrics = Metrics()
    # Resolving the labels anew each time would take ten times what this does.
    assert nanoseconds(metrics.observe, "GET", "/items/{item}", 200, 0.003, 512, None) < 10_000
