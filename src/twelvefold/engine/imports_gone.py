"""Imports in the team's code of what an update takes away: it reports each, and rewrites none."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence

from twelvefold import pyproject
from twelvefold.decisions import Decision, Outcome
from twelvefold.engine.requirements import declared_in
from twelvefold.service import File

CHASSIS, TESTS, NOW = "src/", "tests/chassis/", "vendor/chassis/src/"
# What stands around the name of a module in that of its distribution: PyJWT has `jwt`, argon2-cffi `argon2`.
BEFORE, AFTER = ("twelvefold-", "python-", "py"), ("-python", "-py", "-cffi", "-api")


Imports = Mapping[str, Sequence[tuple[int, str]]]


def imports_of(files: Mapping[str, File]) -> Imports:
    """What Python files import: path → each line with an import, and the dotted name there."""
    return {path: [*_imported(file)] for path, file in files.items()}


def broken_imports(mine: Imports, gone: Iterable[str], rendered: Iterable[str]) -> Iterator[Decision]:
    """A decision for each file of the team's that imports what is gone.

    :param mine: what the team's Python files import.
    :param gone: the paths that go; those in tests/chassis were modules of the tests.
    :param rendered: the paths that the template renders, among them the modules that the chassis has now.
    """
    now = _modules(rendered, NOW)
    lost = (_modules(gone, CHASSIS) - now if now else set()) | _modules(gone, TESTS)
    for path, imports in mine.items():
        found = {line: name for line, name in imports if name in lost}
        if found:
            what = ", ".join(f"{name} (line {line})" for line, name in sorted(found.items()))
            yield Decision(Outcome.BROKEN, path, note=f"imports what is there no more: {what}")


def dropped(before: File | None, after: File | None) -> set[str]:
    """The requirements, by their normalized names, that pyproject.toml has before an update and not after it."""
    if before is None or after is None or before == after:
        return set()
    return declared_in(pyproject.parsed(before.content)) - declared_in(pyproject.parsed(after.content))


def unrequired_imports(mine: Imports, lost: Iterable[str], seeds: Imports) -> Iterator[Decision]:
    """A decision for each file of the team's that imports what the service does not require any more.

    Something else may require it as well: then the file works on, until that does no longer.

    :param mine: what the team's Python files import.
    :param lost: the normalized names of the distributions. What they are imported as is told by their names.
    :param seeds: what the template's own import. That is there without being required: a team's files in the same top
        folder may import it, too.
    """
    modules = {module: name for name in sorted(lost) for module in _modules_of(name)}
    usual = {(_top(path), name) for path, imports in seeds.items() for name in _distributions(imports, modules)}
    for path, imports in mine.items():
        found = {
            name: line for name, line in _distributions(imports, modules).items() if (_top(path), name) not in usual
        }
        if found:
            what = ", ".join(f"{name} (line {line})" for name, line in sorted(found.items()))
            command = f"uv add {' '.join(sorted(found))}"
            note = f"imports what the template requires no more: {what}. To go on with it: {command}"
            yield Decision(Outcome.BROKEN, path, note=note)


def _distributions(imports: Iterable[tuple[int, str]], modules: Mapping[str, str]) -> dict[str, int]:
    # Those of `modules`, module → distribution, that are imported, each with the first line.
    found: dict[str, int] = {}
    for line, imported in imports:
        for module, name in modules.items():
            if f"{imported}.".startswith(f"{module}."):
                found[name] = min(line, found.get(name, line))
    return found


def _top(path: str) -> str:
    return path.partition("/")[0]


def _modules_of(name: str) -> set[str]:
    names = {name, *map(name.removeprefix, BEFORE), *map(name.removesuffix, AFTER)}
    return {each.replace("-", "_") for each in names} | {name.replace("-", ".")}


def _modules(paths: Iterable[str], root: str) -> set[str]:
    files = [path.removeprefix(root) for path in paths if path.startswith(root) and path.endswith(".py")]
    return {file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in files}


def _imported(file: File) -> Iterator[tuple[int, str]]:
    try:
        tree = ast.parse(file.content)
    except (SyntaxError, ValueError):  # it runs no more as it is
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
