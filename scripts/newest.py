"""Try a service with the newest versions of everything that it depends on, in a copy of this template.

Run by `make newest`, and on a schedule by this repository's own pipelines. When it passes, `make constraints`
takes the same versions over into the template.
"""

from __future__ import annotations

import difflib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rendered import TEMPLATE, render, run, say

PYPROJECT = Path("<<cookiecutter.project_slug>>") / "pyproject.toml"
MADE = shutil.ignore_patterns(".git", ".venv", ".tools", ".cache", ".*_cache", ".hypothesis", "__pycache__")


def what_moved(template: Path) -> str:
    """The pins that differ from this template's, as lines with - and +."""
    before, after = ((folder / PYPROJECT).read_text(encoding="utf-8").splitlines() for folder in (TEMPLATE, template))
    changed = [line for line in difflib.ndiff(before, after) if line.startswith(("- ", "+ "))]
    return "\n".join(changed) or "Every dependency has its newest version already."


def attempt(scratch: Path) -> None:
    template = Path(shutil.copytree(TEMPLATE, scratch / "template", ignore=MADE))
    run("python", template / "scripts" / "constraints.py", folder=template)
    say(what_moved(template))
    service = render(scratch, template)
    run("make", "install", folder=service)
    run("make", "test", folder=service)


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        try:
            attempt(Path(scratch))
        except subprocess.CalledProcessError as error:
            say(f"{error.cmd[0]} ended with exit code {error.returncode}; its output is above.")
            return 1
    say("A service works with the newest versions. make constraints takes them over.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
