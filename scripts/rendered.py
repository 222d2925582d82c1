"""What scripts, tests and benchmarks do with the template: render it, and run commands in what was rendered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

TEMPLATE = Path(__file__).resolve().parents[1]
QUESTIONS = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
# Answers with which a service has all capabilities.
EVERYTHING: dict[str, str | bool] = {name: True for name, default in QUESTIONS.items() if isinstance(default, bool)}
OF_A_CALLING_MAKE = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
# What points Python, uv and make at the template's own project.
POINTERS = OF_A_CALLING_MAKE | {"VIRTUAL_ENV", "PYTHONPATH", "UV_PROJECT_ENVIRONMENT"}


def without_project(*others: str) -> dict[str, str]:
    """This process's environment, without what points at the template's own project, and without `others`."""
    return {name: value for name, value in os.environ.items() if name not in POINTERS | {*others}}


def run(*command: str | Path, folder: Path, shown: bool = True) -> None:
    """Show and run a command in `folder`. Raises CalledProcessError if it fails."""
    if shown:
        say(f"$ {' '.join(map(str, command))}")
    subprocess.run(command, cwd=folder, env=without_project(), check=True)


def render(output: Path, template: Path = TEMPLATE, /, **answers: str | bool) -> Path:
    """Render a checkout of any version, with its defaults and `answers`, below `output`; return the service."""
    from cookiecutter.main import cookiecutter  # takes a second, in which Ctrl-C must find its handler

    from twelvefold.engine.rendering.imports import imports_apart

    os.environ["TWELVEFOLD_QUIET"] = "1"  # its closing message is for people
    output.mkdir(parents=True, exist_ok=True)
    with imports_apart(template):
        service = cookiecutter(
            str(template), no_input=True, extra_context=answers, output_dir=str(output), default_config=True
        )
    return Path(service)


def say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()
