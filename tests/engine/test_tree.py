"""Files and folders one by one. What becomes of whole templates is in test_project.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from twelvefold.engine.rendering.checkouts import Source
from twelvefold.engine.rendering.environment import Environment, Loader
from twelvefold.engine.rendering.tree import Tree, source_at


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", Source(False)),
        (b"no end", Source(False)),
        (b"one\ntwo\n", Source(False, "\n")),
        (b"one\r\ntwo\r\n", Source(False, "\r\n")),
        (b"one\rtwo\r", Source(False, "\r")),
        (b"one\r\ntwo\n", Source(False, "\n")),
        (b"\x89PNG\r\n\x1a\n\0\0", Source(True)),
    ],
)
def test_what_is_known_of_a_file(content: bytes, expected: Source, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    assert source_at(str(tmp_path / "file")) == expected


def test_the_suffix_of_a_binary_file_is_enough(tmp_path: Path) -> None:
    (tmp_path / "file.png").write_text("{{ x }}")
    assert source_at(str(tmp_path / "file.png")).is_binary


def rendered(source: Path, project: Path, known: dict[str, Source]) -> Path:
    environment = Environment({}, {})
    environment.loader = Loader([source])
    project.mkdir()
    Tree(source, project, environment, {"cookiecutter": {"x": "ä"}}, known).render()
    return project


def test_what_is_known_of_the_files_serves_the_next_service(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source/text").write_text("{{ cookiecutter.x }}\n")
    known: dict[str, Source] = {}
    first = rendered(tmp_path / "source", tmp_path / "first", known)
    assert ((first / "text").read_text(), known) == ("ä\n", {"text": Source(False, "\n")})
    known["text"] = Source(False, "\r\n")
    assert (rendered(tmp_path / "source", tmp_path / "second", known) / "text").read_bytes() == "ä\r\n".encode()


def test_a_folder_that_is_copied_replaces_what_a_hook_put_there(tmp_path: Path) -> None:
    (tmp_path / "source/static").mkdir(parents=True)
    (tmp_path / "source/static/new").touch()
    (tmp_path / "project/static").mkdir(parents=True)
    (tmp_path / "project/static/old").touch()
    context = {"cookiecutter": {"_copy_without_render": ["static"]}}
    Tree(tmp_path / "source", tmp_path / "project", Environment({}, {}), context, {}).render()
    assert [path.name for path in (tmp_path / "project/static").iterdir()] == ["new"]
