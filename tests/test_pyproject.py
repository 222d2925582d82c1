from __future__ import annotations

from pathlib import Path

import pytest

from twelvefold import pyproject


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_what_it_says_is_read(mark: bytes, end: bytes, tmp_path: Path) -> None:
    content = mark + b"[project]" + end + b'name = "pay"' + end
    (tmp_path / "pyproject.toml").write_bytes(content)
    assert pyproject.read(tmp_path) == pyproject.parsed(content) == {"project": {"name": "pay"}}


@pytest.mark.parametrize("content", [b"[broken", b"\xff", b"\0", "name = 'é'".encode("utf-16")])
def test_one_that_cannot_be_read_says_nothing(content: bytes) -> None:
    assert pyproject.parsed(content) == {}


def test_none_says_nothing(tmp_path: Path) -> None:
    assert pyproject.read(tmp_path) == {}
    (tmp_path / "pyproject.toml").mkdir()
    assert pyproject.read(tmp_path) == {}


def test_a_table_is_found_by_its_keys_and_is_empty_where_something_else_stands() -> None:
    content = pyproject.parsed(b"[tool.uv]\npackage = true\n[project]\nname = 1\n")
    assert pyproject.table(content, "tool", "uv") == {"package": True}
    assert pyproject.table(content, "project", "name") == pyproject.table(content, "tool", "ruff", "lint") == {}
