"""Imports in the team's code of modules that an update takes away: it reports each, and rewrites none."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

from twelvefold.decisions import Decision, Outcome
from twelvefold.service import File

CHASSIS, TESTS, NOW = "src/", "tests/chassis/", "vendor/chassis/src/"


def broken_imports(files: Mapping[str, File], gone: Iterable[str], rendered: Iterable[str]) -> Iterator[Decision]:
    """A decision for each file of the team's that imports what is gone.

    :param files: the team's Python files, by path.
    :param gone: the paths that go; those in tests/chassis were modules of the tests.
    :param rendered: the paths that the template renders, among them the modules that the chassis has now.
    """
    now = _modules(rendered, NOW)
    lost = (_modules(gone, CHASSIS) - now if now else set()) | _modules(gone, TESTS)
    for path, file in files.items():
        found = {line: name for line, name in _imported(file) if name in lost}
        if found:
            what = ", ".join(f"{name} (line {line})" for line, name in sorted(found.items()))
            yield Decision(Outcome.BROKEN, path, note=f"imports what is there no more: {what}")


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
