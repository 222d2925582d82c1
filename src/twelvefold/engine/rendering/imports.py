"""The Python modules that lie in a template: its extensions, and what its hooks import."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType


@contextmanager
def imports_apart(template: Path, modules: dict[str, ModuleType] | None = None) -> Iterator[None]:
    """Import the modules that lie in `template` anew: another version of it has others of the same names.

    `modules` are those that an earlier call imported from there, and takes those that this one does.
    """
    modules = {} if modules is None else modules
    path, names = sys.path.copy(), _names(template)
    others = _taken_out(names)
    sys.modules.update(modules)
    sys.path.insert(0, str(template))
    try:
        yield
    finally:
        sys.path[:] = path
        modules.update(_taken_out(names))
        sys.modules.update(others)


def _names(template: Path) -> set[str]:
    """The modules and packages at the top of the template."""
    packages = {file.parent.name for file in template.glob("*/*.py")}
    # A folder may have the name of a package that this process runs on.
    return packages - sys.modules.keys() | {file.stem for file in template.glob("*.py")}


def _taken_out(names: set[str]) -> dict[str, ModuleType]:
    """Take modules of these names, and what is below them, out of those that are imported."""
    found = [name for name in sys.modules if name.partition(".")[0] in names]
    return {name: sys.modules.pop(name) for name in found}
