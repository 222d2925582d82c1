"""Where a repository declares its dependencies: uv, and so the template, reads `[project]` of pyproject.toml alone.

`[project]` beside another declaration wins: what stands elsewhere would be in no lock and in no wheel, without a word.
"""

from __future__ import annotations

import ast
import configparser
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from twelvefold import safe_yaml
from twelvefold.errors import RefusedError
from twelvefold.git import blob
from twelvefold.pyproject import Table, parsed, table
from twelvefold.service import Repository

TOOLS = (
    "poetry.dependencies",
    "poetry.dev-dependencies",
    "poetry.group.*.dependencies",
    "pdm.dependencies",
    "pdm.optional-dependencies",
    "pdm.dev-dependencies",
    "flit.metadata.requires",
    "flit.metadata.dev-requires",
    "flit.metadata.requires-extra",
    "rye.dev-dependencies",
    "pixi.dependencies",
    "pixi.pypi-dependencies",
    "pixi.feature.*.dependencies",
    "pixi.feature.*.pypi-dependencies",
)
"""Tables and lists below `[tool]` in which a project's requirements may stand; `*` stands for any name.

Those of environments for tools (hatch, tox, nox) are none: these go on reading them. What a Dockerfile installs is none
either: it stays as it is.
"""
METADATA = ("poetry", "pdm", "flit.metadata")
"""Tables below `[tool]` that name a project, as `[project]` does."""
SETUP = ("install_requires", "extras_require", "tests_require", "setup_requires")
REQUIREMENTS = re.compile(r"(.*requirement.*|reqs?|deps|dependencies)\.(txt|in|pip)", re.IGNORECASE)
OF_NO_SERVICE = frozenset({"doc", "docs", "example", "examples", "node_modules", "scripts", "tools", "vendor"})
"""Folders whose requirements are not the service's."""
GENERATED = re.compile(
    r"^\s*#.*(?:uv export|(?:pip-compile|uv pip compile|pdm export).*\bpyproject\.toml|via .*\(pyproject\.toml\))",
    re.MULTILINE,
)
"""What tools write into requirements that they made of pyproject.toml."""
CONDA = ("environment.yml", "environment.yaml", "conda.yml", "conda.yaml")
NO_LIBRARIES = frozenset({"python", "pip"})
ADVICE = (
    "The template reads [project] of pyproject.toml alone: what stands elsewhere would be in no lock and in no image. "
    "Move it to [project] (dependencies, a version of its own) and [dependency-groups], commit, and adopt again. For "
    "poetry, Pipenv and requirements files this does most of it:\n  uvx migrate-to-uv"
)


def refuse_elsewhere(root: Path) -> None:
    """Raise RefusedError, with all that was found, if the repository declares dependencies outside of `[project]`."""
    if found := elsewhere(root):
        listed = "".join(f"\n  {place}" for place in found)
        raise RefusedError(f"{root.name} declares what an adoption would lose:{listed}\n{ADVICE}")


def elsewhere(root: Path) -> list[str]:
    """The places, one a line, that declare dependencies or what else `[project]` should say, and are not it.

    A pyproject.toml that cannot be read says nothing: the adoption leaves it as it is, and reports it.
    """
    files = Files(root)
    content = parsed(files.content("pyproject.toml") or b"")
    project = table(content, "project")
    readers: list[Callable[[], Iterable[str]]] = [
        lambda: _of_tools(content),
        lambda: _dynamic(project),
        lambda: _of_workspace(content),
        lambda: _of_setup_py(files.text("setup.py"), has_project=bool(project)),
        lambda: _of_setup_cfg(files.text("setup.cfg") or "", has_project=bool(project)),
        lambda: _of_requirements(files, declared_in(content)),
        lambda: _of_other_files(files, declared_in(content)),
    ]
    return [place for reader in readers for place in reader()]


@dataclass(frozen=True)
class Files:
    """The files of a repository: those that git has or would take, also where they are not on the disk."""

    root: Path

    @cached_property
    def names(self) -> list[str]:
        """All paths."""
        return Repository.files(self.root)

    def content(self, path: str) -> bytes | None:
        """The bytes of a file, None if there is none."""
        try:
            return (self.root / path).read_bytes()
        except OSError:  # it is none, or git has it alone: outside a sparse checkout
            return blob(self.root, f":./{path}") if path in self.names else None

    def text(self, path: str) -> str | None:
        """The text of a file, None if there is none; of other bytes than UTF-8, as much as can be read."""
        content = self.content(path)
        if content is None:
            return None
        return content.decode("utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig", errors="replace")


def _of_tools(content: Table) -> Iterator[str]:
    tool = table(content, "tool")
    found = [key for pattern in TOOLS for key in _filled(tool, pattern.split("."))]
    yield from (f"pyproject.toml: [tool.{key}]" for key in found)
    for name in METADATA if "project" not in content else ():
        if table(tool, *name.split(".")) and not any(key.startswith(name) for key in found):
            yield f"pyproject.toml: [tool.{name}], and no [project]"


def _filled(table: Any, pattern: list[str], path: str = "") -> Iterator[str]:
    """The key paths that fit the pattern and hold a requirement: more than a bound of Python's."""
    if not pattern:
        is_empty = not table or (isinstance(table, dict) and not set(table) - {"python"})
        yield from [] if is_empty else [path.lstrip(".")]
    elif isinstance(table, dict):
        names = list(table) if pattern[0] == "*" else [pattern[0]]
        for name in names:
            yield from _filled(table.get(name), pattern[1:], f"{path}.{name}")


def _dynamic(project: Table) -> Iterator[str]:
    if dynamic := project.get("dynamic"):
        names = ", ".join(f'"{name}"' for name in dynamic) if isinstance(dynamic, list) else repr(dynamic)
        yield f"pyproject.toml: [project] dynamic = [{names}]"


def _of_workspace(content: Table) -> Iterator[str]:
    if "project" not in content and table(content, "tool", "uv", "workspace"):
        yield "pyproject.toml: [tool.uv.workspace], and no [project]: adopt its members, each by its folder"


def _of_setup_py(text: str | None, *, has_project: bool) -> Iterator[str]:
    if text is None:
        return
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        yield "setup.py, which cannot be read"
        return
    names = _names_of_setup(tree)
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) in names]
    given = [keyword.arg for call in calls for keyword in call.keywords]
    if found := [name for name in given if name in SETUP]:
        yield f"setup.py: {', '.join(map(str, found))}"
    elif None in given:
        yield "setup.py: setup(**...), whose arguments only running it would tell"
    elif not has_project and given:
        yield "setup.py, and no [project] in pyproject.toml"


def _names_of_setup(tree: ast.AST) -> set[str]:
    """What setup is called there, whatever it was imported as."""
    imported = [name for one in ast.walk(tree) if isinstance(one, ast.ImportFrom) for name in one.names]
    return {"setup"} | {name.asname for name in imported if name.name == "setup" and name.asname}


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _of_setup_cfg(text: str, *, has_project: bool) -> Iterator[str]:
    settings = configparser.RawConfigParser(strict=False)
    try:
        settings.read_string(text)
    except configparser.Error:
        yield "setup.cfg, which cannot be read"
        return
    options = settings["options"] if settings.has_section("options") else {}
    named = {name.replace("-", "_"): value for name, value in options.items()}
    found = [f"[options] {name}" for name in SETUP if named.get(name, "").strip()]
    found += ["[options.extras_require]"] if settings.has_section("options.extras_require") else []
    if not found and not has_project and settings.has_section("metadata"):
        found = ["[metadata], and no [project] in pyproject.toml"]
    yield from (f"setup.cfg: {name}" for name in found)


def _of_requirements(files: Files, declared: set[str]) -> Iterator[str]:
    left = [path for path in files.names if _is_of_requirements(path)]
    for path in left:  # which grows by what they include
        text = files.text(path) or ""
        if GENERATED.search(text):
            continue
        left += [other for other in _included(path, text) if other not in left]
        wanted = [line for line in _lines(text) if _name(line) not in declared]
        if wanted:
            yield _shown(path, [_name(line) or line for line in wanted])


def _is_of_requirements(path: str) -> bool:
    *folders, name = path.split("/")
    if any(folder.startswith(".") or folder in OF_NO_SERVICE for folder in folders):
        return False
    is_beside_others = folders[-1:] == ["requirements"] and PurePosixPath(name).suffix in {".txt", ".in", ".pip"}
    return is_beside_others or REQUIREMENTS.fullmatch(name) is not None


def _included(path: str, text: str) -> list[str]:
    named = re.findall(r"^\s*(?:-r|--requirement)[\s=]*(\S+)", text, re.MULTILINE)
    places = [posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) for name in named]
    return [place for place in places if not place.startswith(("/", ".."))]


def _lines(text: str) -> list[str]:
    """The requirements of a requirements file, neither its options nor the project itself, nor prose."""
    lines = [re.sub(r"(^|\s)(#| --).*", "", line).strip() for line in re.sub(r"\\\r?\n", " ", text).splitlines()]
    lines = [re.sub(r"^(?:-e|--editable)[\s=]+", "", line) for line in lines]
    return [line for line in lines if _name(line) is not None and not re.match(r"\.(?:\[.*\])?$", line)]


def _name(line: str) -> str | None:
    """The name that is asked for, "" if it is a place, and None if nothing is."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    if line.startswith((".", "/")) or re.match(r"[\w+.-]+://", line):
        return ""
    try:
        return canonicalize_name(Requirement(line).name)
    except InvalidRequirement:
        return None


def _shown(path: str, wanted: list[str]) -> str:
    return f"{path}: {', '.join(wanted[:3])}{f' and {len(wanted) - 3} more' if len(wanted) > 3 else ''}"


def declared_in(content: Table) -> set[str]:
    """The names that `[project]` and the dependency groups ask for, and the project's own."""
    project = table(content, "project")
    groups = [*table(project, "optional-dependencies").values(), *table(content, "dependency-groups").values()]
    several = [project.get("dependencies"), [project.get("name")], *groups]
    lists = [one for one in several if isinstance(one, list)]
    return {_name(wanted) or "" for one in lists for wanted in one if isinstance(wanted, str)} - {""}


def _of_other_files(files: Files, declared: set[str]) -> Iterator[str]:
    if name := next((name for name in ("Pipfile", "Pipfile.lock") if files.text(name) is not None), None):
        yield name
    if files.text("pixi.toml") is not None:
        yield "pixi.toml"
    for name in CONDA:
        if wanted := [one for one in _of_conda(files.text(name) or "") if one not in declared | NO_LIBRARIES]:
            yield _shown(name, wanted)


def _of_conda(text: str) -> list[str]:
    from packaging.utils import canonicalize_name

    try:
        content = safe_yaml.load(text)
    except yaml.YAMLError:
        return ["which cannot be read"]
    found = content.get("dependencies") if isinstance(content, dict) else None
    several = found if isinstance(found, list) else []
    pip = [one for each in several if isinstance(each, dict) for one in each.get("pip") or []]
    names = [re.split(r"[\s=<>!\[]", str(one), maxsplit=1)[0] for one in [*several, *pip] if isinstance(one, str)]
    return [canonicalize_name(name) for name in names if name]
