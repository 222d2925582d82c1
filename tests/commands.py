"""Commands, run to their end with their output kept."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

Done = subprocess.CompletedProcess[str]


def run(
    *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, typed: str | None = None
) -> Done:
    """Run `command`, with `typed` as its input, and return its output and exit code whatever they are."""
    return subprocess.run(command, cwd=cwd, env=env, input=typed, capture_output=True, text=True, check=False)


def succeed(*command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run `command` and return what it wrote; fails the test with that text if it fails."""
    done = run(*command, cwd=cwd, env=env)
    assert done.returncode == 0, f"{command} exited with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
