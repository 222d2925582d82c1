"""`make vendored`: what lies in vendor/ is what the template rendered, proven by hashes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from commands import Done, run
from conftest import Render, commit, git
from environments import EVERYTHING
from histories import write

SOURCE = "vendor/chassis/src/chassis"


def check(service: Path) -> Done:
    return run(sys.executable, "-I", "vendor/check.py", cwd=service)


@pytest.mark.parametrize("answers", [{}, EVERYTHING], ids=["nothing", "everything"])
def test_what_was_rendered_passes(answers: dict[str, bool], rendered: Render) -> None:
    done = check(rendered(**answers))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def link(service: Path) -> None:
    (service / "same.py").write_bytes((service / SOURCE / "part.py").read_bytes())
    (service / SOURCE / "part.py").unlink()
    (service / SOURCE / "part.py").symlink_to(service / "same.py")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda service: write(service, f"{SOURCE}/part.py", "# Patched.\n"), f"{SOURCE}/part.py was changed"),
        (lambda service: (service / SOURCE / "part.py").unlink(), f"{SOURCE}/part.py is missing"),
        (lambda service: write(service, f"{SOURCE}/ours.py", ""), f"{SOURCE}/ours.py is not the template's"),
        (lambda service: write(service, "vendor/README.md", "# Ours\n"), "vendor/README.md was changed"),
        (link, f"{SOURCE}/part.py was changed"),
        (lambda service: (service / SOURCE / "part.py").chmod(0o755), f"{SOURCE}/part.py has another mode than 644"),
        (lambda service: write(service, f"{SOURCE}/build/a.py", ""), f"{SOURCE}/build/a.py is not the template's"),
        (lambda service: write(service, f"{SOURCE}/dist/a.py", ""), f"{SOURCE}/dist/a.py is not the template's"),
    ],
    ids=["changed", "missing", "added", "a file of vendor/ itself", "linked", "executable", "in a build", "in a dist"],
)
def test_what_is_another_is_named(change: Callable[[Path], None], said: str, fresh: Render) -> None:
    service = fresh()
    change(service)
    done = check(service)
    assert done.returncode == 1
    assert done.stderr.splitlines()[:-1] == [said]
    assert "make update" in done.stderr


@pytest.mark.parametrize(
    "path",
    [
        "vendor/acme/acme.py",
        "vendor/chassis-cache/src/chassis_cache/__init__.py",
        f"{SOURCE}/__pycache__/part.cpython-313.pyc",
        "vendor/chassis/src/twelvefold_chassis.egg-info/PKG-INFO",
        "vendor/chassis/build/lib/chassis/part.py",
        "vendor/chassis/dist/twelvefold_chassis.whl",
        "vendor/chassis/.ruff_cache/0.17.6/1",
    ],
)
def test_what_is_somebody_else_s_or_made_is_passed_over(path: str, fresh: Render) -> None:
    service = fresh()
    write(service, path, "")
    assert check(service).returncode == 0


def test_a_checkout_that_converts_line_ends_passes(fresh: Render, tmp_path: Path) -> None:
    service = fresh()
    commit(service, "Rendered")
    git(tmp_path, "clone", "--quiet", "--config", "core.autocrlf=true", str(service), "converted")
    assert b"\r\n" in (tmp_path / "converted/Makefile").read_bytes()
    assert check(tmp_path / "converted").returncode == 0


@pytest.mark.parametrize("text", [None, "{"])
def test_without_a_manifest_nothing_is_proven(text: str | None, fresh: Render) -> None:
    service = fresh()
    manifest = service / ".twelvefold/manifest.json"
    manifest.unlink()
    if text is not None:
        manifest.write_text(text, encoding="utf-8")
    done = check(service)
    assert done.returncode == 1
    assert ".twelvefold/manifest.json cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_manifest_without_the_chassis_proves_nothing(fresh: Render) -> None:
    service = fresh()
    manifest = service / ".twelvefold/manifest.json"
    known = json.loads(manifest.read_text(encoding="utf-8"))
    left = {path: entry for path, entry in known.items() if not path.startswith("vendor/chassis/")}
    manifest.write_text(json.dumps(left), encoding="utf-8")
    done = check(service)
    assert done.returncode == 1
    said = "pyproject.toml takes the chassis from vendor/chassis, of which .twelvefold/manifest.json has no file"
    assert said in done.stderr
