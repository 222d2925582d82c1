"""Build the wheels of the chassis and its parts as an index takes them: python scripts/wheels.py FOLDER.

What lies in vendor/ has a local version (1.2.3+vendored), which no index takes. Here it is that of the template.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCAL = "+vendored"


def build(folder: Path) -> list[Path]:
    """Build the wheels into `folder`, and return them. Raises CalledProcessError with uv's complaint on stderr."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        built = Path(scratch) / "wheels"
        for home in sorted(path.parent for path in ROOT.glob("<<*>>/vendor/*/pyproject.toml")):
            copy = Path(shutil.copytree(home, Path(scratch) / home.name))
            project = copy / "pyproject.toml"
            project.write_text(project.read_text(encoding="utf-8").replace(LOCAL, ""), encoding="utf-8")
            subprocess.run(["uv", "build", "--wheel", "--quiet", "--out-dir", built, copy], check=True)
        return sorted(Path(shutil.copy(wheel, folder)) for wheel in built.glob("*.whl"))


def main() -> None:
    version = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))["_template_version"]
    wheels = build(Path(sys.argv[1]))
    print(f"Built for {version}:", *(wheel.name for wheel in wheels), sep="\n  ")


if __name__ == "__main__":
    main()
