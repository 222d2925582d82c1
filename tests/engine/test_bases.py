"""Damaged last-applied copies, and the commit that has them whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import commit, git
from twelvefold.engine.bases import damage
from twelvefold.service import File

COPY = ".twelvefold/applied/a.txt"


def write(root: Path, content: bytes, message: str = "") -> str:
    (root / COPY).parent.mkdir(parents=True, exist_ok=True)
    (root / COPY).write_bytes(content)
    if message:
        commit(root, message)
    return File(content).sha256


@pytest.mark.parametrize("content", [b"", b"a", b"a\r\nb\r\n", b"\n\n\n", b"\xff\0"], ids=ascii)
def test_the_newest_commit_with_the_very_bytes_is_named(content: bytes, tmp_path: Path) -> None:
    for message in ("Begin", "Again"):
        write(tmp_path, b"other", f"{message}, with another")
        wanted = write(tmp_path, content, message)
    named = git(tmp_path, "rev-parse", "HEAD")[:12]
    write(tmp_path, content + b"!", "Damaged")
    assert damage(tmp_path, "a.txt", wanted).endswith(f"restore it and commit: git checkout {named} -- {COPY}")


def test_a_copy_that_is_missing_is_said_to_be(tmp_path: Path) -> None:
    wanted = write(tmp_path, b"a", "Begin")
    (tmp_path / COPY).unlink()
    assert damage(tmp_path, "a.txt", wanted).startswith(f"{COPY} is missing, ")


def test_the_history_of_both_sides_of_a_merge_is_searched(tmp_path: Path) -> None:
    write(tmp_path, b"one", "Begin")
    git(tmp_path, "switch", "--quiet", "--create", "side")
    wanted = write(tmp_path, b"two", "Aside")
    git(tmp_path, "switch", "--quiet", "main")
    (tmp_path / "other").touch()
    commit(tmp_path, "Ahead")
    git(tmp_path, "merge", "--quiet", "--strategy=ours", "side")
    assert "git checkout " in damage(tmp_path, "a.txt", wanted)


@pytest.mark.parametrize("is_repository", [True, False])
def test_where_no_commit_has_it_there_is_a_way_on(is_repository: bool, tmp_path: Path) -> None:
    write(tmp_path, b"other", "Begin" if is_repository else "")
    said = damage(tmp_path, "a.txt", File(b"a").sha256)
    assert said.startswith(f"{COPY} does not hash as .twelvefold/manifest.json says")
    assert "take the entry of a.txt out of .twelvefold/manifest.json" in said
