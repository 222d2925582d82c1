"""Where a repository declares its dependencies: uv, and so the template, reads `[project]` of pyproject.toml alone.

`[project]` beside another declaration wins: what stands elsewhere would be in no lock and in no wheel, without a word.
"""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from twelvefold.errors import RefusedError

Table = Mapping[str, Any]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
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

Those of environments for tools (hatch, tox, nox) are none: these go on reading them.
"""
METADATA = ("poetry", "pdm", "flit.metadata")
"""Tables below `[tool]` that name a project, as `[project]` does."""
SETUP = ("install_requires", "extras_require", "tests_require", "setup_requires")
REQUIREMENTS = re.compile(r"(.*requirement.*|reqs?|deps|dependencies)\.(txt|in|pip)", re.IGNORECASE)
OF_NO_SERVICE = frozenset({"doc", "docs", "example", "examples", "node_modules", "site-packages", "vendor"})
"""Folders whose requirements are not the service's."""
GENERATED = re.compile(r"^#.*(?:uv export|(?:pip-compile|uv pip compile|pdm export).*\bpyproject\.toml)", re.MULTILINE)
"""What tools write above requirements that they made of pyproject.toml."""
CONDA = ("environment.yml", "environment.yaml", "conda.yml", "conda.yaml", "meta.yaml")
INSTALLED = re.compile(r"\bpip3? install\s+((?:[^\n;&|]|&(?!&))*)")
INSTALLERS = frozenset({"hatch", "pdm", "pip", "pip-tools", "pipenv", "poetry", "setuptools", "uv", "wheel"})
ADVICE = (
    "The template reads [project] of pyproject.toml alone: what stands elsewhere would be in no lock and in no image. "
    "Move it to [project] (dependencies, a version of its own) and [dependency-groups], commit, and adopt again; for "
    "poetry, Pipenv and requirements files this does most of it: uvx migrate-to-uv"
)


def refuse_elsewhere(root: Path) -> None:
    """Raise RefusedError, with all that was found, if the repository declares dependencies outside of `[project]`."""
    if found := elsewhere(root):
        listed = "".join(f"\n  {place}" for place in found)
        raise RefusedError(f"{root.name} has dependencies that an adoption would lose:{listed}\n{ADVICE}.")


def elsewhere(root: Path) -> list[str]:
    """The places, one a line, that declare dependencies or what else `[project]` should say, and are not it.

    A pyproject.toml that cannot be read says nothing: the adoption leaves it as it is, and reports it.
    """
    try:
        content = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        content = {}
    project = _table(content, "project")
    readers: list[Callable[[], Iterable[str]]] = [
        lambda: _of_tools(content),
        lambda: _dynamic(project),
        lambda: _of_workspace(content),
        lambda: _of_setup_py(root, has_project=bool(project)),
        lambda: _of_setup_cfg(root, has_project=bool(project)),
        lambda: _of_requirements(root, _declared(content)),
        lambda: _of_images(root, _declared(content)),
        lambda: _of_other_files(root),
    ]
    return [place for reader in readers for place in reader()]


def _of_tools(content: Table) -> Iterator[str]:
    tool = _table(content, "tool")
    found = [key for pattern in TOOLS for key in _filled(tool, pattern.split("."))]
    yield from (f"pyproject.toml: [tool.{key}]" for key in found)
    for name in METADATA:
        if (
            "project" not in content
            and _inner(tool, name.split("."))
            and not any(key.startswith(name) for key in found)
        ):
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
    if "project" not in content and _inner(content, ["tool", "uv", "workspace"]):
        yield "pyproject.toml: [tool.uv.workspace], whose members have what a [project] here would say"


def _of_setup_py(root: Path, *, has_project: bool) -> Iterator[str]:
    path = root / "setup.py"
    if not path.is_file():
        return
    try:
        calls = [node for node in ast.walk(ast.parse(path.read_bytes())) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError):
        yield "setup.py, which cannot be read"
        return
    given = [keyword.arg for call in calls if _called(call) == "setup" for keyword in call.keywords]
    if found := [name or "**" for name in given if name is None or name in SETUP]:
        yield f"setup.py: {', '.join(found)}"
    elif not has_project and given:
        yield "setup.py, and no [project] in pyproject.toml"


def _called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _of_setup_cfg(root: Path, *, has_project: bool) -> Iterator[str]:
    settings = configparser.RawConfigParser(strict=False)
    try:
        settings.read(root / "setup.cfg", encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError):
        yield "setup.cfg, which cannot be read"
        return
    options = settings["options"] if settings.has_section("options") else {}
    found = [f"[options] {name}" for name in SETUP if options.get(name, "").strip()]
    found += ["[options.extras_require]"] if settings.has_section("options.extras_require") else []
    if not found and not has_project and settings.has_section("metadata"):
        found = ["[metadata], and no [project] in pyproject.toml"]
    yield from (f"setup.cfg: {name}" for name in found)


def _of_requirements(root: Path, declared: set[str]) -> Iterator[str]:
    for path in _near(root, _is_of_requirements):
        text = _text(path)
        wanted = [line for line in _lines(text) if _named(line) not in declared]
        if wanted and not GENERATED.search(text):
            yield _shown(path.relative_to(root), [_named(line) or line for line in wanted])


def _near(root: Path, is_wanted: Callable[[Path], bool]) -> list[Path]:
    """The files of the repository itself and of folders in it, not deeper than two, that are of a service."""
    found = [path for depth in ("*", "*/*", "*/*/*") for path in root.glob(depth) if is_wanted(path)]
    return sorted(path for path in found if path.is_file() and _is_of_service(path.relative_to(root)))


def _is_of_service(path: Path) -> bool:
    return not any(folder.startswith(".") or folder in OF_NO_SERVICE for folder in path.parts[:-1])


def _is_of_requirements(path: Path) -> bool:
    is_beside_others = path.parent.name == "requirements" and path.suffix in {".txt", ".in", ".pip"}
    return is_beside_others or REQUIREMENTS.fullmatch(path.name) is not None


def _shown(path: Path, wanted: list[str]) -> str:
    return f"{path}: {', '.join(wanted[:3])}{f' and {len(wanted) - 3} more' if len(wanted) > 3 else ''}"


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8-sig", errors="replace")


def _lines(text: str) -> list[str]:
    """What a requirements file asks for: neither its options nor the project itself."""
    joined = re.sub(r"\\\n", " ", text)
    lines = [re.sub(r"(^|\s)#.*", "", line).strip() for line in joined.splitlines()]
    lines = [re.sub(r"^(?:-e|--editable)[\s=]+", "", line) for line in lines]
    return [line for line in lines if line and not line.startswith("-") and not re.match(r"\.(?:\[.*\])?$", line)]


def _named(line: str) -> str:
    name = NAME.match(line)
    is_place = "://" in line.partition("@")[0] or line.startswith((".", "/"))
    return "" if is_place or not name else re.sub(r"[-_.]+", "-", name[0]).lower()


def _declared(content: Table) -> set[str]:
    """The names that `[project]` and the dependency groups ask for."""
    project = _table(content, "project")
    groups = [*_table(project, "optional-dependencies").values(), *_table(content, "dependency-groups").values()]
    several = [project.get("dependencies"), *groups]
    lists = [one for one in several if isinstance(one, list)]
    return {_named(wanted) for one in lists for wanted in one if isinstance(wanted, str)} - {""}


def _of_images(root: Path, declared: set[str]) -> Iterator[str]:
    """What an image installs by name."""
    for path in _near(root, lambda path: re.match(r"(.+\.)?(Docker|Container)file", path.name) is not None):
        installed = INSTALLED.findall(re.sub(r"\\\n", " ", _text(path)))
        words = [word.strip("\"'") for arguments in installed for word in arguments.split()]
        names = [_named(word) for word in words if "$" not in word and not word.endswith((".txt", ".whl"))]
        if wanted := [name for name in names if name and name not in declared | INSTALLERS]:
            yield _shown(path.relative_to(root), [f"pip install {wanted[0]}", *wanted[1:]])


def _of_other_files(root: Path) -> Iterator[str]:
    if name := next((name for name in ("Pipfile", "Pipfile.lock") if (root / name).is_file()), None):
        yield name
    if (root / "pixi.toml").is_file():
        yield "pixi.toml"
    declares = re.compile(r"^(?:dependencies|requirements):", re.MULTILINE)
    yield from (name for name in CONDA if (root / name).is_file() and declares.search(_text(root / name)))


def _table(table: Any, name: str) -> Table:
    found = table.get(name) if isinstance(table, dict) else None
    return found if isinstance(found, dict) else {}


def _inner(table: Any, names: list[str]) -> Table:
    for name in names:
        table = _table(table, name)
    return table if isinstance(table, dict) else {}
