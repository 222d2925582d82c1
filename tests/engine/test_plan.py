from __future__ import annotations

from pathlib import Path

import pytest

from twelvefold.decisions import Decision, Outcome
from twelvefold.engine.plan import Plan, Render, broken, followed, patch, plan, refuse_broken
from twelvefold.engine.transaction import Change
from twelvefold.errors import FailedError, RefusedError
from twelvefold.service import File, ManifestEntry, Service

MEMORY = {f".twelvefold/{name}.json": File(b"{}") for name in ("answers", "manifest", "template")}


def service(root: Path, **owners: str) -> Service:
    """A service whose manifest has files of these owners (`__` is a slash), with the text `was`."""
    entries = {
        path.replace("__", "/"): ManifestEntry(owner, 0o644, File(b"was").sha256) for path, owner in owners.items()
    }
    return Service(root, manifest=entries)


def rendered(root: Path, files: dict[str, bytes], **owners: str) -> Render:
    return Render({**{path: File(content) for path, content in files.items()}, **MEMORY}, service(root, **owners), [])


def without_memory(planned: Plan) -> dict[str, bytes | None]:
    """Path → what would be there, None for nothing."""
    changes = [change for change in planned.changes if change.path not in MEMORY]
    return {change.path: change.after.content if change.after else None for change in changes}


def outcomes(planned: Plan) -> dict[str, Outcome]:
    return {one.path: one.outcome for one in planned.decisions}


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("a.toml", b"a = ["),
        ("deep/a.json", b"{"),
        ("a.py", b"def f(:\n"),
        ("a.py", b"\xff\xfe"),
        ("a.py", b"a\0b"),
        ("a.toml", b"a = 1\na = 2\n"),
    ],
)
def test_what_does_not_parse_is_never_written(path: str, content: bytes) -> None:
    with pytest.raises(FailedError, match=f"{path} would not parse .*; nothing was changed") as error:
        refuse_broken([Change(path, File(b""), File(content))])
    assert error.value.exit_code == 3


def test_what_parses_is_written_and_what_goes_is_not_read() -> None:
    good = {"a.toml": b"\xef\xbb\xbfa = 1\n", "a.json": b"[]", "a.py": b"a = 1\n", "a.bin": b"\xff{", "a": b"["}
    refuse_broken([Change(path, None, File(content)) for path, content in good.items()])
    refuse_broken([Change("a.toml", File(b"a = ["), None)])


def test_the_same_bytes_are_another_thing_under_another_name() -> None:
    """They are read once: what was found for one kind of file must not answer for the other."""
    assert broken(".json", b"a = 1") != ""
    assert broken(".toml", b"a = 1") == ""
    assert broken(".json", b"a = 1") != ""


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        (File(b"a\n"), File(b"b\n"), "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\n+b\n"),
        (None, File(b"b"), "--- /dev/null\n+++ b/f\n@@ -0,0 +1 @@\n+b\n\\ No newline at end of file\n"),
        (File(b"a\n"), None, "--- a/f\n+++ /dev/null\n@@ -1 +0,0 @@\n-a\n"),
        (File(b"\0"), File(b"a"), "Binary files a/f and b/f differ\n"),
        (File("é\n".encode("latin-1")), File(b"e\n"), "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-é\n+e\n"),
        (File(b"a\x0cb\r\n"), File(b"a\r\n"), "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-a\x0cb\r\n+a\r\n"),
    ],
)
def test_a_patch_is_for_people_and_for_git(before: File | None, after: File | None, shown: str) -> None:
    assert patch("f", before, after) == shown


def test_only_what_is_healed_can_be_acknowledged() -> None:
    planned = Plan(decisions=[Decision(outcome, path=outcome) for outcome in Outcome])
    planned.acknowledge()
    acknowledged = {one.outcome for one in planned.decisions if one.is_acknowledged}
    assert acknowledged == {Outcome.HEALED, Outcome.REMOVED, Outcome.RETURNED}
    assert Outcome.CONFLICT in {one.outcome for one in planned.decisions if one.needs_person}


def test_a_rename_is_followed_where_the_new_place_is_free(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("ours")
    mine = service(tmp_path, a="owned", b="owned", c="owned", d="owned")
    moved = {"a": "free", "b": "taken", "c": "d", "never": "rendered"}
    assert followed(moved, mine) == {"a": "free"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in ("owned", "seeded", "edited", "edited_seed"):
        (tmp_path / path).write_text("ours" if path.startswith("edited") else "was")
    return tmp_path


def test_what_the_template_has_no_more(root: Path) -> None:
    """Untouched it goes; edited it stays, and a person looks at what was the template's."""
    mine = service(root, owned="owned", seeded="seeded", edited="owned", edited_seed="seeded", absent="owned")
    planned = plan(mine, rendered(root, {}), {}, {})
    assert without_memory(planned) == {"owned": None, "seeded": None}
    assert outcomes(planned) == {"edited": Outcome.RETIRED, "edited_seed": Outcome.KEPT}


def test_what_the_template_has_now(root: Path) -> None:
    """Owned files are written, seeds where they are new; what was deleted of the first comes back and is told."""
    files = {"owned": b"new", "seeded": b"new", "edited": b"new", "absent": b"new", "seed": b"new", "gone": b"new"}
    owners = {"owned": "owned", "seeded": "seeded", "edited": "owned", "absent": "owned", "gone": "seeded"}
    planned = plan(service(root, **owners), rendered(root, files, **owners, seed="seeded"), {}, {})
    assert without_memory(planned) == {"owned": b"new", "edited": b"new", "absent": b"new", "seed": b"new"}
    assert outcomes(planned) == {"edited": Outcome.HEALED, "absent": Outcome.RETURNED}
    healed = next(one for one in planned.decisions if one.path == "edited")
    assert "-ours" in healed.patch


def test_a_file_of_the_team_s_where_the_template_has_one_now(root: Path) -> None:
    files = {"edited": b"new", "seeded": b"was"}
    planned = plan(service(root), rendered(root, files, edited="owned", seeded="owned"), {}, {})
    assert without_memory(planned) == {"edited": b"new"}
    assert outcomes(planned) == {"edited": Outcome.HEALED}


def test_a_seed_moves_as_the_team_has_it(root: Path) -> None:
    moved = {"edited_seed": "new_place", "seeded": "other_place"}
    mine = service(root, edited_seed="seeded", seeded="seeded")
    files = {"new_place": b"new", "other_place": b"new"}
    planned = plan(mine, rendered(root, files, new_place="seeded", other_place="seeded"), moved, {})
    assert without_memory(planned) == {
        "edited_seed": None,
        "new_place": b"ours",
        "seeded": None,
        "other_place": b"was",
    }
    assert outcomes(planned) == {"edited_seed": Outcome.MOVED}


def test_a_folder_that_is_a_repository_of_its_own_is_refused(root: Path) -> None:
    (root / "sub/.git").mkdir(parents=True)
    with pytest.raises(RefusedError, match="sub is a repository of its own"):
        plan(service(root), rendered(root, {"sub/deep/file": b"new"}, sub__deep__file="owned"), {}, {})


def test_a_service_as_it_should_be_is_an_empty_plan(root: Path) -> None:
    (root / ".twelvefold").mkdir()
    for path, file in MEMORY.items():
        (root / path).write_bytes(file.content)
    mine = service(root, owned="owned", seeded="seeded")
    planned = plan(mine, rendered(root, {"owned": b"was", "seeded": b"x"}, owned="owned", seeded="seeded"), {}, {})
    assert planned.is_empty
    assert planned.decisions == []
