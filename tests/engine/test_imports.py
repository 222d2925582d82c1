"""A template's own modules, which have the same names in each version of it."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from histories import write
from twelvefold.engine.rendering.imports import imports_apart


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("helper_of_template.py", "helper_of_template"),
        ("helpers_of_template/__init__.py", "helpers_of_template"),
        ("helpers_of_template/inner.py", "helpers_of_template.inner"),
    ],
)
def test_modules_of_a_template_are_imported_once_a_checkout(file: str, name: str, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        write(folder, file, f"WHERE = {folder.name!r}\n")
    kept: dict[str, ModuleType] = {}
    found = []
    for folder, modules in ((folders[0], kept), (folders[1], {}), (folders[0], kept)):
        with imports_apart(folder, modules):
            found.append(import_module(name))
        assert not [one for one in sys.modules if one.startswith(name.partition(".")[0])]
    assert [module.WHERE for module in found] == ["one", "other", "one"]
    assert found[0] is found[2]


def test_a_folder_of_the_template_s_does_not_hide_a_package_that_is_in_use(tmp_path: Path) -> None:
    write(tmp_path, "twelvefold/__init__.py", "")
    write(tmp_path, "twelvefold/errors.py", "MINE = True\n")
    mine = import_module("twelvefold.errors")
    with imports_apart(tmp_path):
        assert import_module("twelvefold.errors") is mine
    assert sys.modules["twelvefold.errors"] is mine


def test_a_module_that_was_there_is_there_again(tmp_path: Path) -> None:
    write(tmp_path, "colorsys.py", "MINE = True\n")
    before, path = import_module("colorsys"), sys.path.copy()
    with imports_apart(tmp_path):
        assert import_module("colorsys").MINE
        sys.path.append("elsewhere")
    assert import_module("colorsys") is before
    assert sys.path == path
