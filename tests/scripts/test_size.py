"""The ratchet on how much of a service is the template's."""

from __future__ import annotations

from pathlib import Path

import pytest

import size
from conftest import Render


def test_a_service_with_the_defaults_has_no_more_than_it_may(rendered: Render) -> None:
    assert size.size_of(rendered()).faults == []


@pytest.mark.parametrize(
    ("lines", "files", "faults"),
    [
        (size.LINES_IN_VENDOR, size.FILES_BESIDE_VENDOR, 0),
        (size.LINES_IN_VENDOR + 1, 1, 1),
        (1, size.FILES_BESIDE_VENDOR + 1, 1),
        (size.LINES_IN_VENDOR + 1, size.FILES_BESIDE_VENDOR + 1, 2),
    ],
)
def test_one_more_is_too_much(lines: int, files: int, faults: int) -> None:
    assert len(size.Size(lines, 1, 1, files).faults) == faults


def test_what_is_counted(tmp_path: Path) -> None:
    for path, text in {"vendor/chassis/a.py": "1\n2\n", "vendor/README.md": "3\n", "src/b.py": "4\n", "c": ""}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    assert size.size_of(tmp_path) == size.Size(3, 2, 1, 2)
