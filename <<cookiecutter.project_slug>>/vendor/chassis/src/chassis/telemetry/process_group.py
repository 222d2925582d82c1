"""The processes that make up one running service, and the one answer that they give to Prometheus.

Any of them answers GET /metrics. prometheus_client sums counters, histograms, summaries and plain gauges over files
that the processes share; it drops or zeroes everything else without an error (Info, Enum, gauges with a function,
collectors, process figures). That rest is asked of each process, and told apart by the label `worker`: a sum of
them would fall when a process ends, and Prometheus would take that for a restart of the whole.
"""

import asyncio
import contextlib
import os
import shutil
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry, Enum, Gauge, Info, values
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client's
WORKER_VARIABLE = "CHASSIS_WORKER"
ANSWER_SECONDS = 1.0
PARENT = "parent"


class Place(msgspec.Struct, frozen=True):
    """What a worker is told by its parent: its slot, and the descriptors that it inherits."""

    slot: int
    listeners: list[int]
    lifeline: int


def _read_place() -> Place | None:
    # Taken out of the environment, so that what a worker starts does not believe that it is that worker.
    told = os.environ.pop(WORKER_VARIABLE, None)
    return msgspec.json.decode(told, type=Place) if told else None


PLACE = _read_place()
"""Where this process is in its group; None if it is alone, or the parent."""


def count_by_slot() -> None:
    """Name this worker's files by its slot, not by its process id.

    So the worker that takes the place of a dead one counts on where that one stopped: no counter ever goes down, and
    no file of a dead process stays.
    """
    if PLACE is not None:
        slot = PLACE.slot
        values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]


def forget_worker(folder: Path, slot: int) -> None:
    """Remove what told of a worker that is dead: its gauges and its socket. What it counted stays."""
    for path in (*folder.glob(f"gauge_*_{slot}.db"), folder / f"{slot}.sock"):
        path.unlink(missing_ok=True)


class ProcessGroup:
    """The processes that share `folder`; this one goes by `name`: its slot, or "parent"."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name

    async def join(self, collect: Callable[[], Iterable[Metric]]) -> None:
        """Tell the others what `collect` returns, whenever they ask."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                writer.write(_packed(collect()))
                await writer.drain()
            writer.close()

        path = self._folder / f"{self._name}.sock"
        path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(answer, path)

    def leave(self) -> None:
        """Answer no more."""
        self._server.close()

    def disband(self) -> None:
        """Remove what the group shares."""
        shutil.rmtree(self._folder, ignore_errors=True)

    async def families(self, local: Iterable[Metric]) -> list[Metric]:
        """Everything that the group knows: summed where it can be, by process where it cannot."""
        others = [path for path in sorted(self._folder.glob("*.sock")) if path.stem != self._name]
        answers = await asyncio.gather(*map(_ask, others))
        by_process = {self._name: list(local), **{path.stem: got for path, got in zip(others, answers, strict=True)}}
        rest = labelled(by_process)
        names = {family.name for family in rest}
        return [*(family for family in _summed(self._folder) if family.name not in names), *rest]


def _summed(folder: Path) -> list[Metric]:
    collector: Collector = MultiProcessCollector(None, path=str(folder))  # type: ignore[no-untyped-call]
    for _ in range(3):
        # A worker's files come and go: one may vanish between being listed and read, or not have its header yet.
        with contextlib.suppress(FileNotFoundError, struct.error):
            return list(collector.collect())
    return list(collector.collect())


async def _ask(path: Path) -> list[Metric]:
    # A process that is ending or starting does not answer; then it is left out.
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return _unpacked(await reader.read())
            finally:
                writer.close()
    except (OSError, TimeoutError, msgspec.DecodeError):
        return []


def labelled(by_process: Mapping[str, Iterable[Metric]]) -> list[Metric]:
    """Merge the families of several processes; samples get the label `worker`, except what is the same in all."""
    merged: dict[str, Metric] = {}
    for process, families in by_process.items():
        for family in families:
            whole = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type, family.unit))
            if family.type == "info" or family.name.endswith("_info"):
                whole.samples = whole.samples or list(family.samples)
            else:
                whole.samples += [s._replace(labels={"worker": process, **s.labels}) for s in family.samples]
    return list(merged.values())


def unsummed(registry: CollectorRegistry) -> Iterator[Metric]:
    """The families in `registry` that prometheus_client does not sum over processes."""
    # There is no public way to the collectors of a registry.
    for collector in list(registry._collector_to_names):
        if _is_unsummed(collector):
            yield from collector.collect()


def _is_unsummed(collector: Collector) -> bool:
    if isinstance(collector, Gauge):
        return "_child_samples" in vars(collector)  # where set_function puts its function
    return isinstance(collector, Info | Enum) or not isinstance(collector, MetricWrapperBase)


def _packed(families: Iterable[Metric]) -> bytes:
    def samples(family: Metric) -> list[Any]:
        return [(sample.name, sample.labels, float(sample.value)) for sample in family.samples]

    described = [(each.name, each.documentation, each.type, each.unit, samples(each)) for each in families]
    return msgspec.msgpack.encode(described)


def _unpacked(answer: bytes) -> list[Metric]:
    families = []
    for *described, samples in msgspec.msgpack.decode(answer):
        family = Metric(*described)
        for sample in samples:
            family.add_sample(*sample)
        families.append(family)
    return families
