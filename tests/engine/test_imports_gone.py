from __future__ import annotations

import pytest

from twelvefold.engine.imports_gone import broken_imports
from twelvefold.service import File

GONE = [
    "src/chassis/__init__.py",
    "src/chassis/logs.py",
    "src/chassis/settings.py",
    "tests/chassis/wire.py",
    "tests/chassis/a/b.py",
]
NOW = ["Makefile", "vendor/chassis/src/chassis/__init__.py", "vendor/chassis/src/chassis/settings/__init__.py"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("import wire\n", "wire (line 1)"),
        ("x = 1\nfrom wire import a, b\n", "wire (line 2)"),
        ("from a.b import c\n", "a.b (line 1)"),
        ("import chassis.logs\n", "chassis.logs (line 1)"),
        ("from chassis import logs, Service\n", "chassis.logs (line 1)"),
        ("def f():\n    from chassis.logs import x\n", "chassis.logs (line 2)"),
        ("import chassis\n", ""),
        ("from chassis.settings import load\n", ""),
        ("from . import wire\n", ""),
        ("from .logs import x\n", ""),
        ("from .wire import x\n", ""),
        ("import wired\n", ""),
        ("import wire (\n", ""),
        ("# import wire\n", ""),
    ],
)
def test_what_is_there_no_more_is_named_with_its_line(text: str, found: str) -> None:
    decisions = list(broken_imports({"tests/test_a.py": File(text.encode())}, GONE, NOW))
    assert [one.note for one in decisions] == ([f"imports what is there no more: {found}"] if found else [])
    assert all(one.needs_person for one in decisions)


def test_where_the_chassis_is_not_rendered_nobody_knows_what_it_has() -> None:
    files = {"src/a.py": File(b"from chassis.logs import x\n"), "tests/test_a.py": File(b"import wire\n")}
    assert [one.path for one in broken_imports(files, GONE, ["Makefile"])] == ["tests/test_a.py"]
