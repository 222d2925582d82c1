"""What is kept of renders is what a render would give, and nothing that a test wrote."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import renders
from rendered import render
from renders import DAY, Kept, WrittenError, forget_old, kept
from trees import tree


@pytest.fixture
def made(tmp_path: Path) -> Kept:
    """One in a folder of its own, to spoil."""
    shared = kept()
    return Kept(Path(shutil.copytree(shared.home, tmp_path / "kept" / shared.home.name, symlinks=True)))


def test_it_is_what_cookiecutter_renders(made: Kept, tmp_path: Path) -> None:
    assert made.service.name == "my-service"
    assert tree(made.service) == tree(render(tmp_path / "anew"))


def test_it_is_rendered_once(made: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renders, "render", None)
    assert kept(tmp_path / "kept") == made
    with pytest.raises(TypeError):
        kept(tmp_path / "kept", ci="github")


def test_a_default_that_is_said_makes_no_other(made: Kept, tmp_path: Path) -> None:
    assert kept(tmp_path / "kept", ci="gitlab", database=False) == made


def test_another_template_has_renders_of_its_own(made: Kept, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renders, "of_template", lambda: "another")
    assert kept(tmp_path / "kept") != made


@pytest.mark.parametrize("name", ["cookiecutter.json", "hooks", renders.FOLDER])
def test_what_a_render_is_made_of_is_known_by_bytes_and_mode(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    file = folder / "file"
    file.write_text("1", encoding="utf-8")
    seen = [list(renders.entries(folder))]
    file.write_text("2", encoding="utf-8")
    seen.append(list(renders.entries(folder)))
    file.chmod(0o755)
    seen.append(list(renders.entries(folder)))
    file.unlink()
    file.symlink_to("elsewhere")
    seen.append(list(renders.entries(folder)))
    assert [one for one in seen if seen.count(one) > 1] == []


@pytest.mark.parametrize("change", ["README.md", "made/new.py", "Makefile"])
def test_whoever_writes_into_it_is_told_so_and_it_is_made_again(made: Kept, tmp_path: Path, change: str) -> None:
    before = tree(made.service)
    (made.service / change).parent.mkdir(exist_ok=True)
    (made.service / change).write_text("written\n", encoding="utf-8")
    with pytest.raises(WrittenError, match=change):
        made.insist()
    assert tree(kept(tmp_path / "kept").service) == before


def test_who_wrote_is_told_once(made: Kept) -> None:
    """Whoever shares the render finds it gone, and has written nothing."""
    (made.service / "README.md").unlink()
    with pytest.raises(WrittenError):
        made.insist()
    made.insist()


def test_one_that_was_left_changed_is_not_taken(made: Kept, tmp_path: Path) -> None:
    before = tree(made.service)
    (made.service / "README.md").unlink()
    assert tree(kept(tmp_path / "kept").service) == before


def test_one_that_was_never_finished_is_not_taken(made: Kept, tmp_path: Path) -> None:
    before = tree(made.service)
    made.home.rename(made.home.with_suffix(".new"))
    (made.home.with_suffix(".new") / "seal.json").unlink()
    assert tree(kept(tmp_path / "kept").service) == before


def test_what_nobody_asks_for_goes_after_a_day(made: Kept, tmp_path: Path) -> None:
    other = Kept(Path(shutil.copytree(made.home, tmp_path / "kept/other")))
    os.utime(made.home, (DAY, DAY))
    os.utime(other.home, (DAY - 2, DAY - 2))
    forget_old(tmp_path / "kept", now=2 * DAY - 1)
    assert made.is_intact()
    assert not other.home.exists()
