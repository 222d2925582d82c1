"""Render the template for a service in a scratch folder, through scaraplate, which merges there.

What scaraplate and cookiecutter do slowly, or once more for each service, is replaced while they run;
tests/test_render.py notices when a new release of theirs no longer asks for what is replaced.
"""

from __future__ import annotations

import contextlib
import fnmatch
import importlib
import io
import json
import os
import pickle
import re
import runpy
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

import click
import yaml
from jinja2 import Environment
from jinja2.ext import Extension

from twelvefold import latch
from twelvefold.application import Application
from twelvefold.bases import left_alone
from twelvefold.decisions import collected
from twelvefold.errors import FailedError, RefusedError
from twelvefold.plan import Render
from twelvefold.service import ANSWERS, APPLIED, File, Service, hold_back, opened
from twelvefold.template import SAFE_LOADER, Template, finding_once

if TYPE_CHECKING:
    from scaraplate.template import TemplateMeta

# Imported by scaraplate and cookiecutter, slow, and called by nothing that each rollup needs.
UNUSED = ("arrow", "packaging.requirements", "pkg_resources", "requests")
SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a folder of a random name is made there
ROOM = 32 * 1024 * 1024  # bytes: ten times what a render of this template takes


@dataclass(slots=True)
class Checkout:
    """A template's files in a folder, and what was found out about them.

    That is what Jinja made of them, pickles of what YAML did, its own modules, and which files are binary.
    """

    template: Template
    folder: Path
    compiled: dict[tuple[object, ...], CodeType] = field(default_factory=dict)
    parsed: dict[str, bytes] = field(default_factory=dict)
    modules: dict[str, ModuleType] = field(default_factory=dict)
    binary: dict[str, bool] = field(default_factory=dict)


@dataclass(slots=True)
class _Checkouts:
    scratch: Path
    made: dict[tuple[Path, str], Checkout] = field(default_factory=dict)

    def of(self, template: Template) -> Checkout:
        key = (template.repository, template.commit)
        if key not in self.made:
            folder = self.scratch / str(len(self.made)) / "template"
            folder.mkdir(parents=True)
            template.checkout(folder)
            self.made[key] = Checkout(template, folder)
        return self.made[key]


_checkouts: _Checkouts | None = None


@contextlib.contextmanager
def keeping_checkouts() -> Iterator[None]:
    """Find and check each template out once, until the end of the context: for many services one after the other."""
    global _checkouts
    if _checkouts is not None:
        yield
        return
    with _scratch() as folder, finding_once():
        _checkouts = _Checkouts(folder)
        try:
            yield
        finally:
            _checkouts = None


def render(
    template: Template,
    service: Service,
    answers: Mapping[str, str | bool],
    shared: Mapping[str, str],
    application: Application | None = None,
) -> Render:
    """Roll the template up onto a copy of what `service` shares with it, with `answers`.

    `shared` maps the path of each merged file to the one that the service has it at; `application` is what the service
    is spared, None if nothing. Raises RefusedError with cookiecutter's complaint.
    """
    spared = application or Application()
    shared = {new: old for new, old in shared.items() if not spared.has(new, answers)}
    slug = str(answers.get("project_slug") or service.root.name)
    applied = service.applied()
    damaged = service.damaged(applied)
    left = {new: old for new, old in shared.items() if old in damaged}
    with keeping_checkouts(), _scratch() as folder, collected() as decisions:
        assert _checkouts is not None  # noqa: S101 - the context made them
        scratch = folder / slug
        _write(scratch / ANSWERS, json.dumps(dict(answers), ensure_ascii=False).encode())
        _copy(service, applied, {new: old for new, old in shared.items() if new not in left}, scratch)
        with _replaced(latch, "left_out", spared.keys):
            _run_scaraplate(_checkouts.of(template), scratch)
        left_out = spared.leave_out(scratch) if application else []
        left = {new: old for new, old in left.items() if (scratch / new).is_file()}
        hold_back(scratch, {new: service.manifest[old].sha256 for new, old in left.items()})
        files = {name: opened(path) for path, name in sorted(_files(scratch))}
        _leave(files, service, left)
        alone = [left_alone(service, path) for path in left.values()]
        return Render(files, Service.open(scratch), [*decisions, *alone], left_out)


def _leave(files: dict[str, File], service: Service, left: Mapping[str, str]) -> None:
    """Put the service's files and their last-applied copies in place of rendered ones; `left` maps new paths to old."""
    pairs = [(str(folder / new), str(folder / old)) for new, old in left.items() for folder in (Path(), APPLIED)]
    for new, old in pairs:
        files.pop(new, None)
        if file := service.file(old):
            files[new] = file


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder that goes at the end of the context; what is temporary for others inside lies on the same disk."""
    with (
        _replaced(tempfile, "tempdir", _memory_disk() or tempfile.gettempdir()),
        tempfile.TemporaryDirectory(prefix="twelvefold-") as folder,
    ):
        yield Path(folder)


def _memory_disk() -> str | None:
    """A disk in memory, if there is room on one and the user has not said where to: some hundred files come and go."""
    if "TMPDIR" in os.environ or not os.access(SHARED_MEMORY, os.W_OK | os.X_OK):
        return None
    disk = os.statvfs(SHARED_MEMORY)
    return SHARED_MEMORY if disk.f_bavail * disk.f_frsize >= ROOM else None


def _copy(service: Service, applied: Mapping[str, bytes], shared: Mapping[str, str], scratch: Path) -> None:
    for new, old in shared.items():
        if file := service.file(old):
            _write(scratch / new, file.content)
        if old in applied:
            _write(scratch / APPLIED / new, applied[old])


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _run_scaraplate(checkout: Checkout, scratch: Path) -> None:
    with _without_unused():
        importlib.import_module("cookiecutter.extensions")  # by name, in every Jinja environment of cookiecutter's
        from scaraplate.rollup import rollup
    try:
        with contextlib.redirect_stdout(io.StringIO()), quick(checkout):
            rollup(checkout.folder, scratch, no_input=True)
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


@contextlib.contextmanager
def quick(checkout: Checkout) -> Iterator[None]:
    """Inside, scaraplate and cookiecutter render `checkout` in this process, and do nothing twice."""
    with imports_apart(checkout.folder, checkout.modules), contextlib.ExitStack() as stack:
        for owner, name, value in replacements(checkout):
            stack.enter_context(_replaced(owner, name, value))
        stack.enter_context(_replaced(latch, "is_guarded", False))
        # The post_gen hook would read the whole template for it.
        os.environ["TWELVEFOLD_CONTENT"] = checkout.template.content()
        stack.callback(os.environ.pop, "TWELVEFOLD_CONTENT")
        yield


def replacements(checkout: Checkout) -> list[tuple[object, str, object]]:
    """What is replaced while scaraplate runs: triples of a module or class, a name in it, and the replacement."""
    generate = importlib.import_module("cookiecutter.generate")
    hooks = importlib.import_module("cookiecutter.hooks")
    scaraplate = importlib.import_module("scaraplate.rollup")
    return [
        (generate, "is_binary", _looking(checkout)),
        (hooks, "run_script", _run_hook),
        (Environment, "compile", _compiling(checkout)),
        (Environment, "from_string", _from_string()),
        (scaraplate, "apply_generated_project", _moving()),
        (scaraplate, "get_template_meta_from_git", _knowing(checkout.template)),
        (yaml, "safe_load", _loading(checkout)),
    ]


def _run_hook(script: str, cwd: Path | str = ".") -> None:
    """As cookiecutter's run_script, without a Python of its own for each hook: that would be half of a rollup."""
    from cookiecutter.exceptions import FailedHookException

    try:
        with contextlib.chdir(cwd):
            runpy.run_path(script, run_name="__main__")
    except SystemExit as error:
        if error.code not in {None, 0}:
            raise FailedHookException(str(error.code)) from error


def _looking(checkout: Checkout) -> Callable[[str], bool]:
    """binaryornot's is_binary, which remembers: cookiecutter asks it of the same files for each service."""
    from cookiecutter.generate import is_binary

    def looked(filename: str) -> bool:
        if filename not in checkout.binary:
            checkout.binary[filename] = is_binary(filename)
        return checkout.binary[filename]

    return looked


def _compiling(checkout: Checkout) -> Callable[..., Any]:
    """Jinja's compile, which remembers: all services of a fleet render the same files.

    What it makes depends on the template's extensions too, so that no other template may use it.
    """
    compile_ = Environment.compile

    def compiled(environment: Environment, source: Any, *arguments: Any, **options: Any) -> Any:
        syntax = (environment.variable_start_string, environment.block_start_string, environment.comment_start_string)
        spacing = (environment.trim_blocks, environment.lstrip_blocks, environment.keep_trailing_newline)
        key = (source, type(environment), *syntax, *spacing, *arguments, *sorted(options.items()))
        if key not in checkout.compiled:
            checkout.compiled[key] = compile_(environment, source, *arguments, **options)
        return checkout.compiled[key]

    return compiled


@dataclass(frozen=True, slots=True)
class _Literal:
    """A template that holds nothing to render."""

    text: str

    def render(self, *_: Any, **__: Any) -> str:
        return self.text


def _from_string() -> Callable[..., Any]:
    """Jinja's from_string, without a template for each path that holds no tag: most do not."""
    from_string = Environment.from_string

    def made(environment: Environment, source: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(source, str) and not options and not arguments and _is_literal(environment, source):
            return _Literal(source)
        return from_string(environment, source, *arguments, **options)

    return made


def _is_literal(environment: Environment, source: str) -> bool:
    tags = (environment.variable_start_string, environment.block_start_string, environment.comment_start_string)
    per_line = (environment.line_statement_prefix, environment.line_comment_prefix)
    # Jinja normalises line ends, and an extension may read a text its own way.
    return (
        not any(tag in source for tag in (*tags, "\n", "\r"))
        and not any(per_line)
        and all(type(each).preprocess is Extension.preprocess for each in environment.extensions.values())
    )


def _knowing(template: Template) -> Callable[..., TemplateMeta]:
    """scaraplate's get_template_meta_from_git, which would ask git four times for what we know."""
    from scaraplate.gitremotes import GitRemote, make_git_remote
    from scaraplate.template import TemplateMeta

    def meta(_: Path, *, git_remote_type: type[GitRemote] | None = None) -> TemplateMeta:
        remote = make_git_remote(template.url, git_remote_type=git_remote_type)
        return TemplateMeta(
            git_project_url=remote.project_url(),
            commit_hash=template.commit,
            commit_url=remote.commit_url(template.commit),
            is_git_dirty=False,
            head_ref=None,
        )

    return meta


def _moving() -> Callable[..., None]:
    """scaraplate's apply_generated_project, which moves what it would read, hand to a strategy, and write as it is."""
    from scaraplate.rollup import apply_generated_project
    from scaraplate.strategies import IfMissing, Overwrite

    def applied(generated_path: Path, target_path: Path, *, scaraplate_yaml_strategies: Any, **options: Any) -> None:
        nodes = sorted(scaraplate_yaml_strategies.strategies_mapping.items())
        patterns = [(_matching(pattern), node.strategy) for pattern, node in nodes]
        default = scaraplate_yaml_strategies.default_strategy.strategy
        files = _files(generated_path)
        has_links = any(os.path.islink(path) for path, _ in files)  # noqa: PTH114 - to what would have moved, perhaps
        for path, name in [] if has_links else files:
            strategy = next((each for matches, each in patterns if matches(name)), default)
            if strategy in {IfMissing, Overwrite}:
                _move(path, f"{target_path}/{name}")
        apply_generated_project(
            generated_path, target_path, scaraplate_yaml_strategies=scaraplate_yaml_strategies, **options
        )

    return applied


def _move(path: str, target: str) -> None:
    """Move a file to where there is none; texts, because it is asked of each file."""
    if not os.path.lexists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
        os.rename(path, target)  # noqa: PTH104


@lru_cache(maxsize=1024)
def _matching(pattern: str) -> Callable[[str], object]:
    """What says whether a path fits the pattern, as fnmatch does."""
    return re.compile(fnmatch.translate(pattern)).match


def _files(folder: Path) -> list[tuple[str, str]]:
    """Each file below `folder`: where it is, and its name from there."""
    found = []
    for root, _, names in os.walk(folder):
        found += [(f"{root}/{name}", f"{root}/{name}".removeprefix(f"{folder}/")) for name in names]
    return found


def _loading(checkout: Checkout) -> Callable[[Any], Any]:
    """PyYAML's safe_load, by its parser in C where there is one, which remembers: the rules are read three times."""

    def loaded(stream: Any) -> Any:
        text = stream if isinstance(stream, str) else stream.read()
        if text not in checkout.parsed:
            checkout.parsed[text] = pickle.dumps(yaml.load(text, Loader=SAFE_LOADER))  # noqa: S506 - a safe one
        return pickle.loads(checkout.parsed[text])  # noqa: S301 - our own, a line above

    return loaded


@contextlib.contextmanager
def imports_apart(template: Path, modules: dict[str, ModuleType] | None = None) -> Iterator[None]:
    """Import the modules that lie in `template` anew: another version of it has others of the same names.

    `modules` are those that an earlier call imported from there, and takes those that this one does.
    """
    modules = {} if modules is None else modules
    path, names = sys.path.copy(), [file.stem for file in template.glob("*.py")]
    others = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.modules.update(modules)
    sys.path.insert(0, str(template))
    try:
        yield
    finally:
        sys.path[:] = path
        modules.update({name: sys.modules.pop(name) for name in names if name in sys.modules})
        sys.modules.update(others)


@contextlib.contextmanager
def _replaced(owner: object, name: str, value: object) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


class _Later(ModuleType):
    """A module of functions, each of which imports the real one when it is called."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def call(*arguments: Any, **options: Any) -> Any:
            return getattr(importlib.import_module(self.__name__), name)(*arguments, **options)

        return call


@contextlib.contextmanager
def _without_unused() -> Iterator[None]:
    """Hand stand-ins for UNUSED to what is imported inside; importlib's LazyLoader imports at the second `import`."""
    stand_ins = {name: _Later(name) for name in UNUSED if name not in sys.modules}
    sys.modules.update(stand_ins)
    try:
        yield
    finally:
        for name in stand_ins:
            del sys.modules[name]
