from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from chassis_database.revisions import History


def write(folder: Path, name: str, down: object, **more: object) -> None:
    folder.mkdir(exist_ok=True)
    lines = {"revision": name, "down_revision": down, **more}
    text = "\n".join(f"{key} = {value!r}" for key, value in lines.items())
    (folder / f"{name}.py").write_text(f"{text}\n", encoding="utf-8")


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two branches: a1, then a2 and a3 beside each other, merged in a4; and t1, t2 in a folder of their own."""
    team, part = tmp_path / "team", tmp_path / "part"
    write(team, "a1", None)
    write(team, "a2", "a1")
    write(team, "a3", "a1")
    write(team, "a4", ("a2", "a3"))
    write(part, "t1", None, branch_labels=("tokens",))
    write(part, "t2", "t1")
    (team / "notes.py").write_text("x = 1\n", encoding="utf-8")
    return [team, part]


def test_finds_the_heads_that_alembic_finds(folders: list[Path], tmp_path: Path) -> None:
    alembic = ScriptDirectory(tmp_path, version_locations=folders)
    (folders[0] / "notes.py").unlink()  # Alembic refuses it
    assert History(folders).heads == {*alembic.get_heads()} == {"a4", "t2"}


def test_reads_annotated_names_as_alembics_own_template_writes_them(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("revision: str = 'x'\ndown_revision: str | None = None\n", encoding="utf-8")
    assert History([tmp_path]).heads == {"x"}


@pytest.mark.parametrize(
    ("applied", "missing"),
    [
        ([], {"a4", "t2"}),
        (["a4"], {"t2"}),
        (["a2", "a3"], {"a4", "t2"}),
        (["a4", "t1"], {"t2"}),
        (["a4", "t2"], set()),
        (["newer", "t2"], set()),  # the team's branch went on
        (["newer", "newest"], set()),
        (["newer", "t1"], {"t2"}),
        (["newer", "a2"], {"a4"}),  # which of the two a name is of, nobody knows
    ],
)
def test_tells_what_a_database_has_not_got(folders: list[Path], applied: list[str], missing: set[str]) -> None:
    assert History(folders).missing(applied) == missing


def test_what_is_depended_on_is_there(tmp_path: Path) -> None:
    write(tmp_path, "t1", None, branch_labels="tokens")
    write(tmp_path, "a1", None, depends_on="tokens")
    history = History([tmp_path])
    assert history.heads == {"a1", "t1"}
    assert history.missing(["a1"]) == set()


def test_of_nothing_nothing_is_missing(tmp_path: Path) -> None:
    assert History([tmp_path / "absent"]).missing([]) == set()
