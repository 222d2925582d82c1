"""Pin what a service is tested with: write the newest versions into the template's `constraint-dependencies`.

A service is rendered without pins and resolved afresh; every distribution of its lock becomes a pin.
Run by `make constraints`.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
import tomllib
from pathlib import Path

from rendered import EVERYTHING, TEMPLATE, render

PYPROJECT = TEMPLATE / "<<cookiecutter.project_slug>>" / "pyproject.toml"
PINS = re.compile(r"(?<=^constraint-dependencies = \[\n)(?:  .*\n)*(?=\]$)", re.MULTILINE)


def newest(service: Path) -> list[str]:
    """Return a requirement `name==version` for everything that `service` needs, without its present pins."""
    pyproject = service / "pyproject.toml"
    pyproject.write_text(PINS.sub("", pyproject.read_text(encoding="utf-8")), encoding="utf-8")
    subprocess.run(["uv", "lock", "--quiet"], cwd=service, check=True)
    packages = tomllib.loads((service / "uv.lock").read_text(encoding="utf-8"))["package"]
    return [requirement(package) for package in packages if "registry" in package["source"]]


def requirement(package: dict[str, object]) -> str:
    """One package of a uv.lock as a requirement; with a marker where the lock has several versions of it."""
    markers = package.get("resolution-markers")
    marker = f" ; {' or '.join(f'({each})' for each in markers)}" if isinstance(markers, list) else ""
    return f"{package['name']}=={package['version']}{marker}"


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        pins = "".join(f'  "{pin}",\n' for pin in newest(render(Path(scratch), **EVERYTHING)))
    before = PYPROJECT.read_text(encoding="utf-8")
    PYPROJECT.write_text(PINS.sub(lambda _: pins, before), encoding="utf-8")


if __name__ == "__main__":
    main()
