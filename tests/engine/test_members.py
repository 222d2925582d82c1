"""`members`: the other services of a workspace. tests/rollup/test_shared_vendor.py has them rolled up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from conftest import commit
from twelvefold.decisions import Outcome
from twelvefold.engine.members import Members
from twelvefold.errors import RefusedError
from twelvefold.service import File, ManifestEntry, Service

CORE, TASKS = "vendor/chassis/core.py", "vendor/chassis-tasks/tasks.py"
OLD, NEW = File(b"old"), File(b"new")


def entries(files: Mapping[str, File]) -> dict[str, ManifestEntry]:
    return {path: ManifestEntry("owned", file.mode, file.sha256) for path, file in files.items()}


def member(root: Path, name: str, files: Mapping[str, File], link: str = "") -> Service:
    """A service whose manifest has these files; with a link for vendor/, or a folder."""
    (root / name / ".twelvefold").mkdir(parents=True)
    manifest = {path: entry.as_data() for path, entry in entries(files).items()}
    (root / name / ".twelvefold/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    if link:
        (root / name / "vendor").symlink_to(link)
    return Service(root / name, manifest=entries(files))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "pyproject.toml").write_text(
        '[tool.uv.workspace]\nmembers = ["services/*"]\nexclude = ["services/x*"]\n', encoding="utf-8"
    )
    commit(tmp_path, "Begin")
    return tmp_path


def test_outside_of_a_workspace_there_are_none(tmp_path: Path) -> None:
    members = Members.of(member(tmp_path, "a", {CORE: OLD}))
    assert (members.others, members.sharing, members.need(CORE)) == ((), [], False)
    assert members.unshared(entries({CORE: OLD})) == []


def test_they_are_the_services_among_the_members(root: Path) -> None:
    mine = member(root, "services/a", {CORE: OLD}, "../../vendor")
    member(root, "services/b", {CORE: OLD}, "../../vendor")
    member(root, "services/c", {"Makefile": OLD}, "../../vendor")
    member(root, "services/x", {CORE: OLD}, "../../vendor")
    member(root, "services/deep/e", {CORE: OLD}, "../../../vendor")
    (root / "services/d").mkdir()
    members = Members.of(mine)
    assert [one.name for one in members.others] == ["services/b", "services/c"]
    assert [one.name for one in members.sharing] == ["services/b"]
    assert [members.need(path) for path in (CORE, "vendor/chassis/new.py", TASKS, "Makefile")] == [
        True,
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("path", "file", "is_so"),
    [
        (CORE, NEW, True),
        (CORE, OLD, False),
        (CORE, File(b"new", is_executable=True), False),
        (CORE, None, False),
        ("vendor/chassis/old.py", None, True),
        ("vendor/chassis/old.py", OLD, False),
        (TASKS, None, False),
        ("Makefile", None, False),
    ],
)
def test_an_update_of_another_left_it_so(path: str, file: File | None, is_so: bool, root: Path) -> None:
    mine = member(root, "services/a", {CORE: OLD}, "../../vendor")
    member(root, "services/b", {CORE: NEW}, "../../vendor")
    assert Members.of(mine).left_so(path, file) == (["services/b"] if is_so else [])


@pytest.mark.parametrize(
    ("mine", "theirs", "there", "is_told"),
    [
        ({CORE: NEW}, {CORE: NEW}, {CORE: NEW}, False),
        ({CORE: NEW}, {CORE: OLD}, {CORE: NEW}, True),
        ({CORE: OLD}, {CORE: NEW}, {CORE: NEW}, False),
        ({CORE: OLD}, {CORE: OLD}, {CORE: NEW}, False),
        ({CORE: NEW}, {CORE: NEW, "vendor/chassis/old.py": OLD}, {CORE: NEW}, True),
        ({CORE: NEW}, {TASKS: OLD}, {CORE: NEW, TASKS: OLD}, False),
    ],
)
def test_another_of_another_version_is_named(
    mine: Mapping[str, File], theirs: Mapping[str, File], there: Mapping[str, File], is_told: bool, root: Path
) -> None:
    service = member(root, "services/a", mine, "../../vendor")
    member(root, "services/b c", theirs, "../../vendor")
    told = Members.of(service).out_of_step(service.manifest, there.get)
    assert [(one.outcome, one.path, one.needs_person) for one in told] == (
        [(Outcome.OUT_OF_STEP, "services/b c", True)] if is_told else []
    )
    assert all(one.sentence.endswith("twelvefold rollup 'services/b c'") for one in told)


def test_one_with_a_vendor_of_its_own_shares_nothing(root: Path) -> None:
    mine = member(root, "services/a", {CORE: OLD}, "../../vendor")
    member(root, "services/b", {CORE: NEW, TASKS: NEW})
    members = Members.of(mine)
    assert (members.sharing, members.need(TASKS), members.left_so(CORE, NEW)) == ([], False, [])
    (told,) = members.unshared(mine.manifest)
    assert (told.outcome, told.path, told.needs_person) == (Outcome.UNSHARED, "vendor", True)


def test_one_alone_in_a_workspace_may_have_its_own(root: Path) -> None:
    mine = member(root, "services/a", {CORE: OLD})
    member(root, "services/b", {"Makefile": OLD})
    assert Members.of(mine).unshared(mine.manifest) == []


@pytest.mark.parametrize("text", ["{", "[]", "3", '{"vendor/x": 3}', '{"../x": {}}'])
def test_a_memory_that_cannot_be_read_is_no_empty_one(text: str, root: Path) -> None:
    mine = member(root, "services/a", {CORE: OLD}, "../../vendor")
    member(root, "services/b", {})
    (root / "services/b/.twelvefold/manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(RefusedError, match="What services/b needs in vendor/ is not known"):
        Members.of(mine)
