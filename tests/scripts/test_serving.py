"""What is started ends with whoever started it, at any moment."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

import fleet_demo
import serving

Popen = subprocess.Popen


@pytest.fixture
def interrupted(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[Any]]:
    """Ctrl-C, in the moment in which a process has begun and nobody knows it yet."""
    begun: list[subprocess.Popen[Any]] = []

    def start(*_: object, **how: Any) -> subprocess.Popen[Any]:
        begun.append(Popen(["sleep", "60"], **{**how, "cwd": None}))
        signal.raise_signal(signal.SIGINT)
        return begun[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    return begun


def test_a_service(interrupted: list[subprocess.Popen[Any]], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), serving.started(tmp_path, "my_service"):
        pytest.fail("goes on")
    assert [process.returncode for process in interrupted] == [-signal.SIGTERM]


def test_a_command_of_the_fleet_s_demo(interrupted: list[subprocess.Popen[Any]]) -> None:
    with pytest.raises(KeyboardInterrupt), fleet_demo.told_to_stop(["twelvefold"]):
        pytest.fail("goes on")
    assert [process.returncode for process in interrupted] == [-signal.SIGINT]
