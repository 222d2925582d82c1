"""Several processes: what they count adds up, and survives them."""

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from chassis.process import workers
from chassis.settings import Settings
from chassis.telemetry.process_group import Place
from patience import HANGS
from service_process import Running, connected, launched, running

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")]

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
WORKERS = 4


@pytest.fixture
async def service(sample_service: Path) -> AsyncIterator[Running]:
    async with running(sample_service, WEB_CONCURRENCY=str(WORKERS), APP_DRAIN_SECONDS="3") as service:
        yield service


async def scrape(service: Running) -> Samples:
    text = (await service.ask("/metrics")).body
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    """The sum of all series that have `labels`; raises AssertionError if there is none."""
    found = [value for (series, has), value in samples.items() if series == name and labels.items() <= set(has)]
    assert found, name
    return sum(found)


async def send(service: Running, count: int) -> Counter[int]:
    """Send `count` requests, each over a connection of its own. Return how many each process answered."""
    pids: Counter[int] = Counter()
    for _ in range(count // 20):
        responses = await asyncio.gather(*(service.ask("/api/pid") for _ in range(20)))
        assert {response.status for response in responses} == {200}
        pids.update(response.json() for response in responses)
    return pids


@pytest.mark.slow
async def test_four_workers_are_one_service(service: Running, sample_service: Path) -> None:
    everything_is_there(await scrape(service))
    await they_add_up_and_a_death_takes_nothing_away(service)
    await hardly_anything_differs_from_one_process(service, sample_service)
    folder = _folder(_children(service.process.pid)[0])
    assert {path.stem for path in folder.glob("counter_*.db")} == {f"counter_{slot}" for slot in range(WORKERS)}
    service.signal()
    assert await service.ended() == 0
    assert not folder.exists()


async def they_add_up_and_a_death_takes_nothing_away(service: Running) -> None:
    pids = await send(service, 200)
    assert 1 < len(pids) <= WORKERS
    before = await scrape(service)
    route = {"method": "GET", "route": "/api/pid"}
    assert value(before, "http_requests_total", status="200", **route) == 200
    assert value(before, "http_request_duration_seconds_count", **route) == 200
    assert value(before, "http_request_duration_seconds_bucket", le="+Inf", **route) == 200
    assert value(before, "http_response_size_bytes_sum", **route) == sum(len(str(pid)) * n for pid, n in pids.items())
    assert value(before, "orders_total") == 200

    victim = pids.most_common(1)[0][0]
    os.kill(victim, signal.SIGKILL)
    await _until(service, "another takes its place")
    await _until_all_ready(service)
    survivors = await send(service, 100)
    assert victim not in survivors
    after = await scrape(service)
    fell = {series: value for series, value in before.items() if is_event(*series) and after[series] < value}
    assert fell == {}
    assert value(after, "http_requests_total", status="200", **route) == 300
    assert value(after, "orders_total") == 300
    assert value(after, "app_worker_restarts_total") == 1
    assert {dict(labels).get("worker") for _, labels in after} == {*"0123", "parent", None}


def is_event(name: str, labels: frozenset[tuple[str, str]]) -> bool:
    """Whether a series counts events of the whole service."""
    return name.endswith(("_total", "_count", "_sum", "_bucket")) and "worker" not in dict(labels)


def _folder(worker: int) -> Path:
    variables = dict(pair.split("=", 1) for pair in Path(f"/proc/{worker}/environ").read_text().split("\0") if pair)
    return Path(variables["PROMETHEUS_MULTIPROC_DIR"])


async def _until(service: Running, text: str) -> None:
    async with asyncio.timeout(HANGS):
        while text not in service.output():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def _until_all_ready(service: Running) -> None:
    async with asyncio.timeout(HANGS):
        while value(await scrape(service), "app_state", app_state="ready") < WORKERS:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def everything_is_there(samples: Samples) -> None:
    """Also what prometheus_client loses with several processes, without an error."""
    slots = [str(slot) for slot in range(WORKERS)]
    for name in ("app_info", "python_info"):  # the same in all: one series, or joins would fail
        assert value(samples, name) == 1, name
    for worker in slots:
        assert value(samples, "app_state", app_state="ready", worker=worker) == 1
        assert value(samples, "http_requests_in_flight", worker=worker) == 0
        assert value(samples, "pool_size", worker=worker) == 3  # a collector of the team
        assert value(samples, "level", worker=worker) == 7  # a gauge with a function
        assert value(samples, "mood", mood="good", worker=worker) == 1  # an Enum of the team
    for worker in [*slots, "parent"]:
        assert value(samples, "process_resident_memory_bytes", worker=worker) > 1e6
        assert value(samples, "python_gc_collections_total", worker=worker) > 0
    assert value(samples, "app_workers") == WORKERS


async def hardly_anything_differs_from_one_process(service: Running, sample_service: Path) -> None:
    """Exemplars are lost; what tells of one process bears one label more; the parent tells of the workers."""
    async with running(sample_service) as alone:
        await alone.ask("/api/pid")
        for each in (alone, *[service] * 20):  # so that every worker has run its checks
            await each.ask("/readyz")
        one, several = _labels(await scrape(alone)), _labels(await scrape(service))
    assert several.keys() - one.keys() == {"app_workers", "app_worker_restarts_total"}
    assert one.keys() - several.keys() == set()
    differing = {name for name in one if several[name] != one[name]}
    assert {name for name in differing if several[name] != one[name] | {"worker"}} == set()
    assert {name for name in differing if name.startswith(("http", "orders", "event"))} == {"http_requests_in_flight"}


def _labels(samples: Samples) -> dict[str, set[str]]:
    labels: dict[str, set[str]] = {}
    for name, pairs in samples:
        labels.setdefault(name, set()).update(dict(pairs))
    return labels


@pytest.mark.slow
async def test_the_drain_holds_for_all_workers(service: Running) -> None:
    in_flight = [asyncio.create_task(service.ask("/api/slow/3.5")) for _ in range(8)]
    await asyncio.sleep(0.1)
    service.signal()
    service_ended = asyncio.create_task(service.ended())
    closing = 0
    while closing < 12:  # in a row: each worker has heard of it
        response = await service.ask("/api/pid")
        assert response.status == 200
        closing = closing + 1 if response.headers.get("connection") == "close" else 0
    assert {response.status for response in await asyncio.gather(*in_flight)} == {200}
    assert await service_ended == 0


@pytest.mark.slow
async def test_a_second_signal_kills_all(sample_service: Path) -> None:
    async with running(sample_service, WEB_CONCURRENCY="2", APP_DRAIN_SECONDS=str(2 * HANGS)) as service:
        pids = {(await service.ask("/api/pid")).json() for _ in range(8)}
        service.signal()
        await service.draining()
        service.signal()
        assert await service.ended() == 128 + signal.SIGTERM
        await _until_gone(pids)


@pytest.mark.slow
async def test_workers_end_with_their_parent(sample_service: Path) -> None:
    async with running(sample_service, WEB_CONCURRENCY="2") as service:
        pids = {(await service.ask("/api/pid")).json() for _ in range(8)}
        folder = _folder(next(iter(pids)))
        service.signal(signal.SIGKILL)
        await service.ended()
        await _until_gone(pids)
        assert not folder.exists()


async def _until_gone(pids: set[int]) -> None:
    async with asyncio.timeout(HANGS):
        while any(Path(f"/proc/{pid}/stat").exists() for pid in pids):  # noqa: ASYNC110, ASYNC240
            await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_a_signal_to_the_whole_process_group_is_one_signal(sample_service: Path) -> None:
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(running(sample_service, WEB_CONCURRENCY="2", APP_DRAIN_SECONDS="3"))
        connection = await stack.enter_async_context(connected(service.port))
        pids = {(await connection.ask("/api/pid")).json()}
        in_flight = asyncio.create_task(service.ask("/api/slow/3.5"))
        await asyncio.sleep(0.1)
        for pid in [service.process.pid, *_children(service.process.pid)]:
            os.kill(pid, signal.SIGTERM)
        assert (await in_flight).status == 200
        assert await service.ended() == 0
        await _until_gone(pids)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
async def test_workers_that_cannot_start_end_the_service(sample_service: Path) -> None:
    async with launched(sample_service, WEB_CONCURRENCY="2", ABSENT="1") as service:
        assert await service.ended() == 3
        assert any("the resource 'pool' could not be opened" in error for error in service.errors())
        assert sum(bool(re.match(r"worker \d could not start", error)) for error in service.errors()) == 1


async def test_a_crash_loop_ends_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(workers, "FIRST_DELAY", 0.001)

    class Crashing(workers.Supervisor):
        async def _live(self, slot: int) -> int:
            self._started.add(slot)
            return -11

    settings = Settings(name="under-test", web_concurrency=1)
    supervisor = Crashing([], settings=settings, folder=tmp_path, deadline=1, announce=lambda: None)
    assert await supervisor.run() == 3
    assert caplog.messages[-1] == "worker 0 ended 6 times in a row; the last time with -11"


async def test_a_worker_that_cannot_even_be_spawned_ends_the_service(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Unable(workers.Supervisor):
        async def _live(self, slot: int) -> int:
            raise OSError("too many open files")

    settings = Settings(name="under-test", web_concurrency=2)
    supervisor = Unable([], settings=settings, folder=tmp_path, deadline=1, announce=lambda: None)
    assert await supervisor.run() == 3
    assert caplog.messages == ["workers cannot be started: OSError: too many open files"]


@pytest.mark.parametrize(
    ("codes", "expected"), [([0, 0], 0), ([0, 1], 1), ([0, -signal.SIGKILL], 1), ([-signal.SIGTERM, 0], 0)]
)
async def test_the_exit_code_tells_whether_all_ended_well(tmp_path: Path, codes: list[int], expected: int) -> None:
    """A worker that SIGTERM ends before it listens for signals ended well."""

    class Ending(workers.Supervisor):
        async def _live(self, slot: int) -> int:
            if slot == 0:
                await asyncio.sleep(0.01)  # the other lives too by then
                self._stop()
            await self._stopping.wait()
            return codes[slot]

    settings = Settings(name="under-test", web_concurrency=2)
    supervisor = Ending([], settings=settings, folder=tmp_path, deadline=1, announce=lambda: None)
    assert await supervisor.run() == expected


async def test_nothing_but_what_it_counted_tells_of_a_worker_that_is_dead(tmp_path: Path) -> None:
    class Short(workers.Supervisor):
        async def _spawn(self, place: Place) -> asyncio.subprocess.Process:
            return await asyncio.create_subprocess_exec(sys.executable, "-c", "")

    for name in ("0.sock", "gauge_all_0.db", "counter_0.db", "1.sock", "gauge_all_1.db", "gauge_all_10.db"):
        (tmp_path / name).touch()
    settings = Settings(name="under-test", web_concurrency=2)
    supervisor = Short([], settings=settings, folder=tmp_path, deadline=1, announce=lambda: None)
    assert await supervisor._live(0) == 0
    assert _names(tmp_path) == {"counter_0.db", "1.sock", "gauge_all_1.db", "gauge_all_10.db"}


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
