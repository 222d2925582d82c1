"""What pins the versions that services are tested with leaves the ranges alone."""

from __future__ import annotations

import tomllib

import pytest

from constraints import PINS, PYPROJECT, requirement
from environments import TEMPLATE


def test_only_the_constraints_are_written() -> None:
    before = PYPROJECT.read_text(encoding="utf-8")
    after = PINS.sub(lambda _: '  "new==1",\n', before)
    pins = [line for line in before.splitlines() if line not in after.splitlines()]
    assert all("==" in line for line in pins)
    assert before.replace("".join(f"{line}\n" for line in pins), '  "new==1",\n') == after
    (ours,) = [line for line in after.splitlines() if line.startswith("requires = ")]
    assert ours in before


@pytest.mark.parametrize(
    "text", ['requires = [\n  "uv_build>=0.9,<0.14",\n]\n', 'build-constraint-dependencies = [\n  "a<2",\n]\n']
)
def test_other_lists_stay(text: str) -> None:
    assert PINS.sub("", text) == text
    tomllib.loads(text)


def test_one_of_several_versions_has_a_marker() -> None:
    lock = tomllib.loads((TEMPLATE / "uv.lock").read_text(encoding="utf-8"))
    packages = [package for package in lock["package"] if "version" in package]
    assert requirement(packages[0]) == f"{packages[0]['name']}=={packages[0]['version']}"
    several: dict[str, object] = {"name": "a", "version": "1", "resolution-markers": ["x == 1", "y == 2"]}
    assert requirement(several) == "a==1 ; (x == 1) or (y == 2)"
