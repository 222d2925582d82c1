"""Render the template for a service in a scratch folder, through scaraplate, which merges there."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import runpy
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType

import click
from jinja2 import Environment

from twelvefold.decisions import collected
from twelvefold.errors import FailedError, RefusedError
from twelvefold.plan import Render
from twelvefold.service import ANSWERS, APPLIED, Service, read_file
from twelvefold.template import Template

# Imported by what we import, slow, and not used by a rollup.
UNUSED = ("requests", "pkg_resources")

_compilations: dict[tuple[object, ...], CodeType] = {}


@contextlib.contextmanager
def checked_out(template: Template) -> Iterator[Path]:
    """The template's files in a folder of their own, until the end of the context."""
    with tempfile.TemporaryDirectory(prefix="twelvefold-") as folder:
        yield template.checkout(Path(folder) / "template")


def render(template: Path, service: Service, answers: Mapping[str, str | bool], shared: Mapping[str, str]) -> Render:
    """Roll the template in the folder `template` up onto a copy of what `service` shares with it, with `answers`.

    `shared` maps the path of each merged file to the one that the service has it at. Raises RefusedError with
    cookiecutter's complaint.
    """
    slug = str(answers.get("project_slug") or service.root.name)
    with tempfile.TemporaryDirectory(prefix="twelvefold-") as folder, collected() as decisions:
        scratch = Path(folder) / slug
        _write(scratch / ANSWERS, json.dumps(dict(answers), ensure_ascii=False).encode())
        _copy(service, shared, scratch)
        _run_scaraplate(template, scratch)
        paths = [path.relative_to(scratch).as_posix() for path in scratch.rglob("*") if path.is_file()]
        files = {path: file for path in sorted(paths) if (file := read_file(scratch, path))}
        return Render(files, Service.open(scratch), list(decisions))


def _copy(service: Service, shared: Mapping[str, str], scratch: Path) -> None:
    for new, old in shared.items():
        for source, target in ((old, new), (APPLIED / old, APPLIED / new)):
            if file := service.file(str(source)):
                _write(scratch / target, file.content)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _run_scaraplate(template: Path, scratch: Path) -> None:
    _import_lazily()
    from cookiecutter import hooks
    from cookiecutter.environment import StrictEnvironment
    from scaraplate.rollup import rollup

    said = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(said),
            imports_apart(template),
            _replaced(hooks, "run_script", _run_hook),
            _replaced(StrictEnvironment, "compile", _compiled),
        ):
            rollup(template, scratch, no_input=True)
    except click.ClickException:
        raise
    except OSError as error:
        if isinstance(error, FileNotFoundError):  # a dangling link, a file that a hook misses
            raise _unusable(error) from error
        raise FailedError(f"The template could not be rendered: {error}.") from error
    except Exception as error:  # hooks and extensions are the template's code: whatever they raise says what is wrong
        raise _unusable(error) from error


def _unusable(error: Exception) -> RefusedError:
    from cookiecutter.exceptions import CookiecutterException

    speaks = isinstance(error, (CookiecutterException, OSError))
    reason = str(error) if speaks else f"{type(error).__name__}: {error}"
    return RefusedError(f"The template cannot be rendered: {' '.join(reason.split())}")


def _run_hook(script: str, cwd: Path | str = ".") -> None:
    """As cookiecutter's run_script, without a Python of its own for each hook: that would be half of a rollup."""
    from cookiecutter.exceptions import FailedHookException

    try:
        with contextlib.chdir(cwd):
            runpy.run_path(script, run_name="__main__")
    except SystemExit as error:
        if error.code not in {None, 0}:
            raise FailedHookException(str(error.code)) from error


def _compiled(environment: Environment, source: str, name: str | None = None, filename: str | None = None) -> CodeType:
    """As Jinja's compile, remembered: all services of a fleet render the same files."""
    syntax = (environment.variable_start_string, environment.block_start_string, environment.comment_start_string)
    spacing = (environment.trim_blocks, environment.lstrip_blocks, environment.keep_trailing_newline)
    key = (source, name, *syntax, *spacing)
    if key not in _compilations:
        _compilations[key] = Environment.compile(environment, source, name, filename)
    return _compilations[key]


@contextlib.contextmanager
def imports_apart(template: Path) -> Iterator[None]:
    """Import the modules that lie in `template` anew: another version of it has others of the same names."""
    path, names = sys.path.copy(), [file.stem for file in template.glob("*.py")]
    others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(template))
    try:
        yield
    finally:
        sys.path[:] = path
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(others)


@contextlib.contextmanager
def _replaced(owner: object, name: str, value: object) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _import_lazily() -> None:
    for name in UNUSED:
        spec = importlib.util.find_spec(name) if name not in sys.modules else None
        if spec and spec.loader:
            spec.loader = importlib.util.LazyLoader(spec.loader)
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
