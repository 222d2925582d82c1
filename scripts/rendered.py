"""What scripts do with rendered services: each step in a process of its own, as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
# What points Python, uv and make at the template's own project.
POINTERS = {"VIRTUAL_ENV", "PYTHONPATH", "PYTHONPYCACHEPREFIX", "UV_PROJECT_ENVIRONMENT", "MAKEFLAGS", "MAKELEVEL"}


def run(*command: str | Path, folder: Path, shown: bool = True) -> None:
    """Show and run a command in `folder`. Raises CalledProcessError if it fails."""
    if shown:
        say(f"$ {' '.join(map(str, command))}")
    environment = {name: value for name, value in os.environ.items() if name not in POINTERS}
    subprocess.run(command, cwd=folder, env={**environment, "TWELVEFOLD_QUIET": "1"}, check=True)


def render(template: Path, output: Path) -> Path:
    """Render `template` with its default answers below `output`; return the service."""
    run("cookiecutter", template, "--no-input", "--default-config", "--output-dir", output, folder=TEMPLATE)
    return output / "my-service"


def render_here(template: Path, output: Path, answers: Mapping[str, str | bool]) -> Path:
    """Render `template`, a checkout of any version, in this process, which is quicker; return the service."""
    from cookiecutter.main import cookiecutter  # takes a second, in which Ctrl-C must find its handler

    from twelvefold.engine.rendering.imports import imports_apart

    with imports_apart(template):
        service = cookiecutter(
            str(template), no_input=True, extra_context=answers, output_dir=str(output), default_config=True
        )
    return Path(service)


def say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()
