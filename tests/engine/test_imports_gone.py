from __future__ import annotations

import pytest

from twelvefold.engine.imports_gone import broken_imports, dropped, imports_of, unrequired_imports
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
    decisions = list(broken_imports(imports_of({"tests/test_a.py": File(text.encode())}), GONE, NOW))
    assert [one.note for one in decisions] == ([f"imports what is there no more: {found}"] if found else [])
    assert all(one.needs_person for one in decisions)


def test_where_the_chassis_is_not_rendered_nobody_knows_what_it_has() -> None:
    files = {"src/a.py": File(b"from chassis.logs import x\n"), "tests/test_a.py": File(b"import wire\n")}
    assert [one.path for one in broken_imports(imports_of(files), GONE, ["Makefile"])] == ["tests/test_a.py"]


@pytest.mark.parametrize(
    ("text", "lost", "found"),
    [
        ("import aiohttp\n", ["aiohttp"], "aiohttp (line 1)"),
        ("x = 1\nfrom prometheus_client import Counter\n", ["prometheus-client"], "prometheus-client (line 2)"),
        ("from aiohttp.web import Request\nimport aiohttp\n", ["aiohttp"], "aiohttp (line 1)"),
        ("import dotenv, jwt\n", ["pyjwt", "python-dotenv"], "pyjwt (line 1), python-dotenv (line 1)"),
        ("from opentelemetry import trace\n", ["opentelemetry-api", "opentelemetry-sdk"], "opentelemetry-api (line 1)"),
        ("import opentelemetry.sdk.trace\n", ["opentelemetry-sdk"], "opentelemetry-sdk (line 1)"),
        ("from chassis_tasks import Tasks\n", ["twelvefold-chassis-tasks"], "twelvefold-chassis-tasks (line 1)"),
        ("import aiohttp_cors\n", ["aiohttp"], ""),
        ("from .aiohttp import x\n", ["aiohttp"], ""),
        ("import aiohttp\n", [], ""),
        ("import aiohttp (\n", ["aiohttp"], ""),
    ],
)
def test_what_is_required_no_more_is_named_with_its_line(text: str, lost: list[str], found: str) -> None:
    notes = [one.note for one in unrequired_imports(imports_of({"src/a.py": File(text.encode())}), lost, {})]
    assert [note.partition(". ")[0] for note in notes] == (
        [f"imports what the template requires no more: {found}"] if found else []
    )


def test_what_the_template_s_own_files_beside_it_import_is_there_for_them() -> None:
    file = File(b"import starlette\n")
    files, seeds = {"tests/test_a.py": file, "src/a.py": file}, {"tests/test_greeting.py": file}
    assert [one.path for one in unrequired_imports(imports_of(files), ["starlette"], imports_of(seeds))] == ["src/a.py"]


def test_the_command_to_go_on_with_it_is_there() -> None:
    (decision,) = unrequired_imports(imports_of({"src/a.py": File(b"import b, a\n")}), ["b", "a"], {})
    assert decision.note.endswith("To go on with it: uv add a b")
    assert decision.needs_person


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ('[project]\ndependencies = ["a", "B_c>=1"]\n', '[project]\ndependencies = ["a"]\n', {"b-c"}),
        ('[project]\ndependencies = ["a"]\n', '[project]\n[dependency-groups]\ndev = ["a"]\n', set()),
        ('[dependency-groups]\ndev = ["httpx"]\n', '[dependency-groups]\ndev = ["httpx2"]\n', {"httpx"}),
        ('[project]\ndependencies = ["a"]\n', None, set()),
        (None, '[project]\ndependencies = ["a"]\n', set()),
        ("[project\n", '[project]\ndependencies = ["a"]\n', set()),
    ],
)
def test_what_is_dropped(before: str | None, after: str | None, found: set[str]) -> None:
    assert dropped(*(None if text is None else File(text.encode()) for text in (before, after))) == found
