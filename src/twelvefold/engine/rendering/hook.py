"""The hooks of a template: scripts that run before its questions, before its files are rendered, and after.

They are the template's code, and trusted as such; see docs/ownership.md. What they print on their standard output is
for a person who starts a service, and is shown only if they fail.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import runpy
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twelvefold.engine.rendering.environment import Environment
from twelvefold.engine.rendering.refusals import unusable

FOLDER = "hooks"
QUIET = {"TWELVEFOLD_QUIET": "1"}
BEFORE_QUESTIONS, BEFORE_FILES, AFTER_FILES = "pre_prompt", "pre_gen_project", "post_gen_project"


@dataclass(frozen=True, slots=True)
class Hooks:
    """The hooks of the template in a folder, rendered with `context` before they run."""

    template: Path
    scratch: Path
    """Where the rendered scripts are put: a folder outside of what is rendered, that exists."""
    environment: Environment
    context: Mapping[str, Any]

    def run(self, name: str, project: Path) -> None:
        """Run the hooks of this name in the folder `project`. Raises RefusedError if one fails."""
        for script in found(self.template, name):
            rendered = self.scratch / script.name
            text = self.environment.from_string(script.read_text(encoding="utf-8")).render(**self.context)
            rendered.write_text(text, encoding="utf-8", newline="")
            execute(rendered, project)


def found(template: Path, name: str) -> list[Path]:
    """The template's scripts for the hook `name`, with whatever suffix, but `~` of an editor's copies; sorted."""
    folder = template / FOLDER
    if not folder.is_dir():
        return []
    return [script for script in sorted(folder.iterdir()) if script.stem == name and not script.name.endswith("~")]


def execute(script: Path, folder: Path) -> None:
    """Run `script` in `folder`. Raises RefusedError if it fails; a script in Python may raise what it likes.

    Python runs in this process: a Python of its own for each hook would be half of a rollup. Either kind finds
    TWELVEFOLD_QUIET in its environment, as under `scaraplate rollup`, and no arguments.
    """
    run = _execute_here if script.suffix == ".py" else _execute_apart
    run(script, folder)


def _execute_here(script: Path, folder: Path) -> None:
    said = io.StringIO()
    try:
        with _as_a_process(), contextlib.chdir(folder), contextlib.redirect_stdout(said):
            runpy.run_path(str(script), run_name="__main__")
    except SystemExit as error:
        if isinstance(error.code, str):
            raise unusable(error.code) from error
        if error.code:
            raise _failed(error.code, said.getvalue()) from error


@contextlib.contextmanager
def _as_a_process() -> Iterator[None]:
    """Inside, the arguments are none; what is changed in the environment is not there for the next service."""
    environment, arguments = dict(os.environ), sys.argv.copy()
    os.environ.update(QUIET)
    del sys.argv[1:]
    try:
        yield
    finally:
        sys.argv[:] = arguments
        if os.environ != environment:
            os.environ.clear()
            os.environ.update(environment)


def _execute_apart(script: Path, folder: Path) -> None:
    script.chmod(script.stat().st_mode | stat.S_IEXEC)
    try:
        done = subprocess.run(  # noqa: S603 - it is trusted
            [script], cwd=folder, env={**os.environ, **QUIET}, stdout=subprocess.PIPE, check=False
        )
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            raise unusable("Hook script failed, might be an empty file or missing a shebang") from error
        raise unusable(f"Hook script failed (error: {error})") from error
    if done.returncode:
        raise _failed(done.returncode, done.stdout.decode(errors="replace"))


def _failed(status: object, said: str) -> Exception:
    last = said.strip().rpartition("\n")[2]
    return unusable(f"Hook script failed (exit status: {status}){f': {last}' if last else ''}")
