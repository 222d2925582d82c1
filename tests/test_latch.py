"""Which service is being rolled up."""

from __future__ import annotations

from pathlib import Path

from twelvefold.latch import Run, current, running


def test_a_run_inside_another_gives_it_back() -> None:
    outer, inner = Run(Path("/outer")), Run(Path("/inner"))
    with running(outer):
        with running(inner):
            assert current() is inner
        assert current() is outer
