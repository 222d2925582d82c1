"""The one environment that every rendered variant is checked in, made from what a rendered service declares.

`python tests/environments.py` makes it and prints where its Python is; with a version such as 3.13, it only prints
where the interpreter of that version is, or exits with code 3 if this machine has none.
"""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from filelock import FileLock
from packaging.version import Version

from installed import search_path, sources

# Where this file is run, and where benchmarks import it, only its own folder is on the path.
sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))

from rendered import EVERYTHING as EVERYTHING
from rendered import QUESTIONS
from rendered import TEMPLATE as TEMPLATE
from rendered import render as render
from rendered import without_project as without_project
from renders import kept

SERVICE = TEMPLATE / "<<cookiecutter.project_slug>>"
CHASSIS_TESTS = TEMPLATE / "tests" / "chassis"
# A fork's own, in a fork.
ADDRESS = str(QUESTIONS["_template_url"])
CACHE = TEMPLATE / ".cache" / "services"

# What `make release` sets, and a service tells as its chassis' version.
VERSION: str = QUESTIONS["_template_version"]
CHASSIS_VERSION = str(Version(VERSION))  # as installers write it


def service_python(version: str = "") -> Path:
    """Return the Python of an environment with everything that a service needs, except a service.

    `version` such as "3.13" chooses the interpreter, by default this one's. The environment is kept in .cache/ and
    made again when what a service declares has changed.
    """
    name = f"python{version}" if version else "default"
    home = CACHE / name
    installed = home / ".venv" / "installed-from"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(CACHE / f"{name}.lock"):
        # What is installed for all services serves those that need less.
        rendered = kept(**EVERYTHING).service
        projects = [rendered / "pyproject.toml", *sorted(rendered.glob("vendor/*/pyproject.toml"))]
        declared = "\n".join([*(project.read_text(encoding="utf-8") for project in projects), *_besides()])
        if not installed.is_file() or installed.read_text(encoding="utf-8") != declared:
            shutil.copytree(rendered, _absent(home), symlinks=True)
            environment = {**without_project(), "UV_PYTHON": str(interpreter(version)) if version else sys.executable}
            for command in (
                ["add", "--frozen", *_besides()],
                ["lock"],
                ["sync", "--frozen", "--no-install-local", "--compile-bytecode", "--group=hooks"],
            ):
                subprocess.run(["uv", "--quiet", *command], cwd=home, env=environment, check=True)
            _link_vendor(home)
            installed.write_text(declared, encoding="utf-8")
    return home / ".venv/bin/python"


def _besides() -> list[str]:
    """What no service asks for: pytest-xdist, for the chassis' tests, and what the teams of the examples use."""
    projects = [tomllib.loads(path.read_text(encoding="utf-8")) for path in TEMPLATE.glob("examples/*/pyproject.toml")]
    examples = {dependency for project in projects for dependency in project["project"]["dependencies"]}
    return sorted({f"pytest-xdist=={importlib.metadata.version('pytest-xdist')}", *examples})


def _link_vendor(home: Path) -> None:
    """Let type checkers find the chassis and all parts, as if they were installed for editing: none is."""
    (packages,) = home.glob(".venv/lib/python3*/site-packages")
    (packages / "vendor.pth").write_text("".join(f"{path}\n" for path in sources(SERVICE)), encoding="utf-8")


def interpreter(version: str) -> Path:
    """The interpreter of one minor version. Raises LookupError if this machine has none."""
    names = [shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    names += [str(path) for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))]
    managed = subprocess.run(
        ["uv", "python", "find", "--quiet", "--managed-python", version], capture_output=True, text=True, check=False
    )
    names.append(managed.stdout.strip())
    for name in filter(None, names):
        # pyenv's shims are found on the PATH, and fail.
        if subprocess.run([name, "-c", ""], capture_output=True, check=False).returncode == 0:
            return Path(name)
    raise LookupError(f"no Python {version}")


def service_path(service: Path) -> str:
    """PYTHONPATH for `service` in that environment: its package, and what is in its vendor/."""
    return search_path(service, CACHE / "metadata")


def chassis_path(*others: Path) -> str:
    """PYTHONPATH for the chassis and all parts where they lie in the template, and for `others`."""
    return os.pathsep.join(map(str, (*sources(SERVICE), *others)))


def _absent(path: Path) -> Path:
    if path.exists():
        shutil.rmtree(path)
    return path


def main(version: str = "") -> int:
    if not version:
        sys.stdout.write(f"{service_python()}\n")
        return 0
    try:
        sys.stdout.write(f"{interpreter(version)}\n")
    except LookupError as error:
        sys.stderr.write(f"{error}\n")
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
