"""How much of a service is the template's: python scripts/size.py [--check].

Prints lines and files of services with the defaults and with all capabilities. With `--check`, a ratchet: exits with 1
if a service with the defaults has more than it may. Lower a limit where there is less; raise it with a reason.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rendered import EVERYTHING, render

LINES_IN_VENDOR = 6230
FILES_BESIDE_VENDOR = 60


@dataclass(frozen=True)
class Size:
    """What a rendered service has, without uv.lock, which `make` makes."""

    lines_in_vendor: int
    files_in_vendor: int
    lines_beside: int
    files_beside: int

    @property
    def faults(self) -> list[str]:
        """A sentence for each limit that is exceeded."""
        lines, files = self.lines_in_vendor, self.files_beside
        too_long = f"{lines} lines lie in vendor/, and {LINES_IN_VENDOR} may."
        too_many = f"{files} files lie beside vendor/, and {FILES_BESIDE_VENDOR} may."
        return [too_long] * (lines > LINES_IN_VENDOR) + [too_many] * (files > FILES_BESIDE_VENDOR)


def size_of(service: Path) -> Size:
    """Count a rendered service."""
    files = [path.relative_to(service) for path in service.rglob("*") if path.is_file()]
    inside = [path for path in files if path.parts[0] == "vendor"]
    beside = [path for path in files if path.parts[0] != "vendor"]
    lines = [sum((service / path).read_bytes().count(b"\n") for path in paths) for paths in (inside, beside)]
    return Size(lines[0], len(inside), lines[1], len(beside))


def rendered(**answers: str | bool) -> Size:
    """The size of a service with these answers."""
    with tempfile.TemporaryDirectory() as folder:
        return size_of(render(Path(folder), **answers))


def main(arguments: list[str]) -> int:
    defaults = rendered()
    if "--check" in arguments:
        for fault in defaults.faults:
            print(f"{fault} scripts/size.py has the limits.", file=sys.stderr)
        return 1 if defaults.faults else 0
    everything = rendered(**EVERYTHING)
    print("service     lines in vendor/  files  lines beside  files")
    for name, size in (("defaults", defaults), ("everything", everything)):
        counts = (size.lines_in_vendor, size.files_in_vendor, size.lines_beside, size.files_beside)
        print("{:<10}  {:>16}  {:>5}  {:>12}  {:>5}".format(name, *counts))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
