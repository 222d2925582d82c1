"""What the processes of one service tell each other; tests/chassis/process/test_workers.py has them at work."""

import asyncio
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric

from chassis.telemetry import process_group
from chassis.telemetry.process_group import ProcessGroup

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("so_much", [0, 1, 10])
async def test_one_that_ends_while_it_answers_is_left_out(so_much: int, tmp_path: Path) -> None:
    mood = Metric("mood", "How it is.", "gauge")
    mood.add_sample("mood", {}, 1)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(process_group._packed([mood])[:so_much])
        writer.close()

    async with await asyncio.start_unix_server(answer, tmp_path / "1.sock"):
        (family,) = await ProcessGroup(tmp_path, "0").families([mood])
    assert [(sample.labels, sample.value) for sample in family.samples] == [({"worker": "0"}, 1)]
