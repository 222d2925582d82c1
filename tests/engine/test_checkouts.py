"""Templates in folders, each once while many services are rendered."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import git
from histories import History, render, rolled_up, team_s, write
from twelvefold.engine import template as templates
from twelvefold.engine.rendering import checkouts
from twelvefold.engine.rendering.checkouts import keeping_checkouts, scratch


def test_a_kept_checkout_serves_each_version_its_own(history: History, tmp_path: Path) -> None:
    history.release("0.2.0", {"owned/core.py": "TWO = 2\n"})
    (tmp_path / "second").mkdir()
    services = [render(history, "0.1.0", folder) for folder in (tmp_path, tmp_path / "second")]
    write(services[0], "owned/core.py", "drift = True\n")
    with keeping_checkouts():
        for each, exit_code in zip(services, (2, 0), strict=True):
            rolled_up(history, each, "0.2.0", exit_code=exit_code)
        rolled_up(history, services[1], "0.1.0", "--allow-downgrade")
    assert (services[0] / "owned/core.py").read_text() == "TWO = 2\n"
    (tmp_path / "fresh").mkdir()
    assert team_s(services[1]) == team_s(render(history, "0.1.0", tmp_path / "fresh"))


def test_a_template_is_checked_out_once(history: History) -> None:
    template = templates.find(str(history.repository), "0.1.0")
    with keeping_checkouts() as outer:
        made = outer.of(template)
        with keeping_checkouts() as inner:
            assert inner.of(template) is made
        assert (made.folder / "cookiecutter.json").exists()
    assert not made.folder.exists()
    with keeping_checkouts() as other:
        assert other.of(template) is not made


def test_a_checkout_leaves_the_template_s_index_alone(history: History, tmp_path: Path) -> None:
    history.release("0.2.0", {"owned/core.py": "TWO = 2\n"})
    before = (history.repository / ".git/index").read_bytes()
    folder = tmp_path / "checkout"
    folder.mkdir()
    templates.find(str(history.repository), "0.1.0").checkout(folder)
    assert (history.repository / ".git/index").read_bytes() == before
    assert git(history.repository, "status", "--porcelain") == ""
    run = folder / "<<cookiecutter.project_slug>>/owned/run.sh"
    assert (run.stat().st_mode & 0o100, list(tmp_path.glob("*.index"))) == (0o100, [])


def test_the_scratch_is_where_the_user_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(checkouts, "SHARED_MEMORY", str(tmp_path))
    assert checkouts.memory_disk() == str(tmp_path)
    with scratch() as folder:
        assert folder.parent == tmp_path
    monkeypatch.setattr(checkouts, "ROOM", 2**80)
    assert checkouts.memory_disk() is None
    monkeypatch.setattr(checkouts, "ROOM", 0)
    monkeypatch.setattr(checkouts, "SHARED_MEMORY", str(tmp_path / "none"))
    assert checkouts.memory_disk() is None
    monkeypatch.setattr(checkouts, "SHARED_MEMORY", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert checkouts.memory_disk() is None
