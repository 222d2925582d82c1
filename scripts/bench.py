"""Run a benchmark by its name, or list them. Run by `make bench`.

A benchmark is a module of benchmarks/ whose docstring says how it is run: `make bench NAME=...`.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


def described(folder: Path = FOLDER) -> dict[str, str]:
    """Each benchmark → the first line of its docstring."""
    texts = {
        path.stem: ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        for path in sorted(folder.glob("*.py"))
    }
    return {name: text.partition("\n")[0] for name, text in texts.items() if re.search(rf"NAME={name}\b", text)}


def main(name: str = "", *arguments: str) -> int:
    """Return 0 if there was nothing to run, and 2 if there is no such benchmark."""
    found = described()
    if name in found:
        command = [sys.executable, str(FOLDER / f"{name}.py"), *arguments]
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    if name:
        sys.stderr.write(f"There is no benchmark {name}. There are: {', '.join(found)}\n")
        return 2
    width = max(map(len, found))
    lines = [f"  {each:{width}}  {line}\n" for each, line in found.items()]
    sys.stdout.write(f"make bench NAME=... ARGS=--help\n\n{''.join(lines)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
