"""Which tests each lane runs, in the Makefile: together all of them, and none twice."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from commands import succeed
from conftest import git
from environments import TEMPLATE, without_project

LANES = ("ENGINE", "RENDERED", "CHASSIS_TESTS")


def places(folder: Path) -> dict[str, list[str]]:
    """The folders and files of each lane that is not told apart by a mark."""
    show = "; ".join(f"echo $({name})" for name in LANES)
    (folder / "show.mk").write_text(f"show:; @{show}\n", encoding="utf-8")  # make 3.81 has no --eval
    given = ("--file", "Makefile", "--file", folder / "show.mk")
    lines = succeed("make", "--silent", *given, "show", cwd=TEMPLATE, env=without_project())
    return {name: line.split() for name, line in zip(LANES, lines.splitlines(), strict=True)}


def lanes_of(path: str, lanes: dict[str, list[str]]) -> list[str]:
    return [name for name, given in lanes.items() for one in given if path == one or path.startswith(f"{one}/")]


def test_each_file_of_tests_is_in_one_lane(tmp_path: Path) -> None:
    listed = git(TEMPLATE, "ls-files", "--cached", "--others", "--exclude-standard", "tests").splitlines()
    files = [path for path in listed if re.search(r"/test_\w+\.py$", path) and (TEMPLATE / path).is_file()]
    assert len(files) > 100
    lanes = places(tmp_path)
    assert {path: found for path in files if len(found := lanes_of(path, lanes)) != 1} == {}


@pytest.mark.parametrize(
    ("path", "expected"), [("tests/nowhere/test_it.py", []), ("tests/engine/test_it.py", ["ENGINE"])]
)
def test_a_file_in_no_lane_is_seen(path: str, expected: list[str], tmp_path: Path) -> None:
    assert lanes_of(path, places(tmp_path)) == expected


def test_what_somebody_names_is_run_slow_or_not() -> None:
    told = succeed("make", "--silent", "--dry-run", "test", "ARGS=-k some", cwd=TEMPLATE, env=without_project())
    assert re.search(r'pytest -m "not deep" .* -k some$', told, re.MULTILINE)


def test_ci_runs_every_lane_once() -> None:
    text = (TEMPLATE / ".ci/run").read_text(encoding="utf-8")
    told = re.findall(r"^(?:make|lane) (.+?)(?: #.*)?$", text, re.MULTILINE)
    assert {"lint", "test-engine", "test-template", "test-slow", "chassis"} <= {line.split()[0] for line in told}
    assert len(set(told)) == len(told)
