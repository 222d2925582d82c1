"""What plain scaraplate refuses before it writes. tests/rollup has the same through its command, and killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import commit, git
from twelvefold.engine.guards import refuse_what_would_be_lost
from twelvefold.errors import RefusedError
from twelvefold.service import File

COPY = ".twelvefold/applied/a.txt"


def write(root: Path, *, copy: str, manifest: str, package: str = "pay") -> Path:
    """A service or a render: what its last-applied copy of a.txt says, and of what the manifest has the hash."""
    (root / COPY).parent.mkdir(parents=True, exist_ok=True)
    (root / COPY).write_text(copy)
    (root / "a.txt").write_text(copy)
    entries = {
        "a.txt": {"owner": "merged", "mode": "644", "sha256": File(manifest.encode()).sha256},
        "src/pay/api.py": {"owner": "seeded", "mode": "644", "sha256": ""},
    }
    (root / ".twelvefold/manifest.json").write_text(json.dumps(entries))
    (root / ".twelvefold/answers.json").write_text(json.dumps({"package_name": package}))
    return root


@pytest.mark.parametrize(
    ("committed", "now", "is_refused"),
    [
        (("1", "1"), ("1", "1"), False),
        (("1", "1"), ("1", "2"), False),  # killed: the manifest is written before the copies
        (("1", "1"), ("2", "1"), False),  # and in the other order
        (("1", "1"), ("2", "2"), False),
        (("1", "1"), ("x", "1"), True),
        (("1", "1"), ("x", "2"), True),
        (("1", "1"), ("1", "3"), True),  # killed in an update to another version than is rendered now
        (("x", "1"), ("x", "1"), True),
        (("2", "1"), ("2", "1"), True),  # two branches merged: the file may be as it was at 1
        (("1", "2"), ("1", "2"), True),
    ],
)
def test_a_copy_that_the_manifest_does_not_know_is_refused_unless_an_update_was_killed(
    committed: tuple[str, str], now: tuple[str, str], is_refused: bool, tmp_path: Path
) -> None:
    rendered = write(tmp_path / "rendered", copy="2", manifest="2")
    service = write(tmp_path / "service", copy=committed[0], manifest=committed[1])
    commit(service, "Committed")
    write(service, copy=now[0], manifest=now[1])
    if is_refused:
        with pytest.raises(
            RefusedError, match=rf"a\.txt cannot be merged: {COPY} does not hash as .twelvefold/manifest.json says"
        ):
            refuse_what_would_be_lost(service, rendered)
    else:
        refuse_what_would_be_lost(service, rendered)


def test_without_a_repository_a_copy_that_fits_is_needed(tmp_path: Path) -> None:
    rendered = write(tmp_path / "rendered", copy="2", manifest="2")
    refuse_what_would_be_lost(write(tmp_path / "service", copy="1", manifest="1"), rendered)
    with pytest.raises(RefusedError, match="No commit here has the right one"):
        refuse_what_would_be_lost(write(tmp_path / "service", copy="1", manifest="2"), rendered)


def test_another_package_that_was_typed_is_refused(tmp_path: Path) -> None:
    """scaraplate asks for the answers unless it is told --no-input."""
    rendered = write(tmp_path / "rendered", copy="2", manifest="2", package="other")
    with pytest.raises(RefusedError, match="The answer is package_name=other"):
        refuse_what_would_be_lost(write(tmp_path / "service", copy="1", manifest="1"), rendered)


def test_what_is_written_must_be_seen_by_git(tmp_path: Path) -> None:
    rendered = write(tmp_path / "rendered", copy="2", manifest="2")
    service = write(tmp_path / "service", copy="1", manifest="1")
    commit(service, "Committed")
    git(service, "update-index", "--skip-worktree", "a.txt")
    with pytest.raises(RefusedError, match=r"Hidden from git \(skip-worktree\): a\.txt"):
        refuse_what_would_be_lost(service, rendered)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_seed_must_be_seen_by_git_if_it_is_written(is_there: bool, tmp_path: Path) -> None:
    """scaraplate writes those that are not there, and no others."""
    rendered = write(tmp_path / "rendered", copy="2", manifest="2")
    service = write(tmp_path / "service", copy="1", manifest="1")
    for root in (rendered, service):
        (root / "src/pay").mkdir(parents=True)
        (root / "src/pay/api.py").touch()
    commit(service, "Committed")
    git(service, "update-index", "--skip-worktree", "src/pay/api.py")
    if is_there:
        refuse_what_would_be_lost(service, rendered)
        return
    (service / "src/pay/api.py").unlink()
    with pytest.raises(RefusedError, match=r"Hidden from git \(skip-worktree\): src/pay/api\.py"):
        refuse_what_would_be_lost(service, rendered)


def test_a_folder_that_no_template_made_is_not_looked_at(tmp_path: Path) -> None:
    rendered = write(tmp_path / "rendered", copy="2", manifest="2")
    (tmp_path / "service").mkdir()
    refuse_what_would_be_lost(tmp_path / "service", rendered)
