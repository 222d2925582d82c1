"""Commands, run to their end with their output kept."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from children import child

Done = subprocess.CompletedProcess[str]


def run(
    *command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, typed: str | None = None
) -> Done:
    """Run `command`, with `typed` as its input, and return its output and exit code whatever they are."""
    pipe = subprocess.PIPE
    stdin = None if typed is None else pipe
    with child(*command, cwd=cwd, env=env, stdin=stdin, stdout=pipe, stderr=pipe) as process:
        output, errors = process.communicate(typed)
    return Done(command, process.returncode, output, errors)


def succeed(*command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run `command` and return what it wrote; fails the test with that text if it fails."""
    done = run(*command, cwd=cwd, env=env)
    assert done.returncode == 0, f"{command} exited with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr
