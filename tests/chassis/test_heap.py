import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from chassis import heap


@pytest.fixture
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_the_threshold_is_higher_before_anything_big_is_imported() -> None:
    """Else the collector runs a hundred times and more while FastAPI is imported."""
    script = "import gc, chassis; print(*gc.get_threshold(), sum(each['collections'] for each in gc.get_stats()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    *thresholds, collections = map(int, done.stdout.split())
    assert thresholds == [10_000, 20, 20]
    assert collections < 50


@pytest.mark.usefixtures("thawed")
def test_what_is_frozen_is_left_alone() -> None:
    before = gc.get_freeze_count()
    heap.freeze()
    assert gc.get_freeze_count() > before + 1000


@pytest.mark.usefixtures("thawed")
def test_nothing_is_looked_for_before() -> None:
    before = [each["collections"] for each in gc.get_stats()]
    heap.freeze()
    assert [each["collections"] for each in gc.get_stats()] == before


def test_there_would_be_next_to_nothing_to_find() -> None:
    script = "import gc, chassis.serving; print(gc.collect(), len(gc.get_objects()))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    unreachable, objects = map(int, done.stdout.split())
    assert unreachable < objects / 50
