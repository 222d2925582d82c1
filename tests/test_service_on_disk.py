"""`twelvefold.service`: a service on disk. (tests/render/test_service.py, which runs a rendered one, has its name.)"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import commit, git
from twelvefold.errors import FailedError, RefusedError
from twelvefold.service import (
    File,
    IgnoreRule,
    ManifestEntry,
    Repository,
    Service,
    folders_above,
    is_memory,
    read_file,
    refuse_links,
    refuse_outside,
)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("committed")
    commit(tmp_path, "Begin")
    return tmp_path


@pytest.mark.parametrize(
    ("path", "folders"),
    [("file", []), ("a/file", ["a"]), ("a/b c/d/file", ["a", "a/b c", "a/b c/d"])],
)
def test_the_folders_above_a_path(path: str, folders: list[str]) -> None:
    assert list(folders_above(path)) == folders


@pytest.mark.parametrize(
    "path", ["", "/", "/etc/passwd", "a//b", "a/", "./a", "a/./b", "..", "a/..", ".git", "a/.Git/hooks/b", "a\0b"]
)
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(RefusedError, match="is no path in a service"):
        refuse_outside(path)


@pytest.mark.parametrize("path", ["a", "a/b", "...", "a..b/.gitignore", ".github/x", "-a", " ", "a\nb", "~/a", "C:\\a"])
def test_an_odd_path_is_a_path(path: str) -> None:
    refuse_outside(path)


def test_a_file_is_its_bytes_and_whether_it_can_be_executed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path, content, mode in (("folder/a", b"\0\xff", 0o600), ("run", b"", 0o755), ("group", b"x", 0o654)):
        (tmp_path / path).write_bytes(content)
        (tmp_path / path).chmod(mode)
    assert read_file(tmp_path, "folder/a") == File(b"\0\xff")
    assert read_file(tmp_path, "run") == File(b"", is_executable=True)
    assert read_file(tmp_path, "group") == File(b"x")
    assert [read_file(tmp_path, path) for path in ("none", "folder", "run/below", "none/below")] == [None] * 4


def test_a_file_that_cannot_be_read_is_said_by_name(tmp_path: Path) -> None:
    name = "x" * 300
    with pytest.raises(FailedError, match=f"{name} cannot be read: File name too long"):
        read_file(tmp_path, name)


@pytest.mark.parametrize("path", ["link", "folder/link", "linked/file", "linked/none", "dangling"])
def test_a_link_is_named_and_not_followed(path: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").touch()
    for link, target in {"link": "folder/file", "folder/link": "/etc", "linked": "folder", "dangling": "x"}.items():
        (tmp_path / link).symlink_to(target)
    link = "linked" if path.startswith("linked/") else path
    with pytest.raises(RefusedError, match=f"^{link} is a symbolic link"):
        refuse_links(tmp_path, path)
    with pytest.raises(RefusedError, match=f"^{link} is a symbolic link"):
        read_file(tmp_path, path)


def test_a_link_above_the_service_is_the_user_s_own_affair(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/file").write_text("x")
    (tmp_path / "link").symlink_to("real")
    assert read_file(tmp_path / "link", "file") == File(b"x")


@pytest.mark.parametrize(
    ("file", "is_like"),
    [
        (File(b"was"), True),
        (File(b"is"), False),
        (File(b"was", is_executable=True), False),
    ],
)
def test_a_file_is_as_it_was_rendered_with_its_mode(file: File, is_like: bool) -> None:
    assert ManifestEntry("owned", 0o644, File(b"was").sha256).is_like(file) is is_like
    assert ManifestEntry("owned", 0o664, File(b"was").sha256).is_like(file) is is_like  # git keeps no more of it


@pytest.mark.parametrize(
    ("path", "is_it"), [(".twelvefold/a", True), (".twelvefold", False), ("a/.twelvefold/b", False)]
)
def test_the_memory_is_one_folder(path: str, is_it: bool) -> None:
    assert is_memory(path) is is_it


def test_the_seal_notices_whatever_was_changed(service: Path) -> None:
    files = {name: json.loads((service / f".twelvefold/{name}.json").read_bytes()) for name in ("answers", "manifest")}
    assert Service.open(service).remembers_itself
    changed = [
        ("answers", "database", True),
        ("manifest", "Makefile", {**files["manifest"]["Makefile"], "mode": "755"}),
    ]
    changed.append(("manifest", "more", files["manifest"]["Makefile"]))
    for name, key, value in changed:
        path = service / f".twelvefold/{name}.json"
        path.write_text(json.dumps({**files[name], key: value}))
        assert not Service.open(service).remembers_itself
        path.write_text(json.dumps(files[name]))  # laid out otherwise, it says the same
        assert Service.open(service).remembers_itself


def test_an_update_in_between_is_noticed(service: Path) -> None:
    before = Service.open(service)
    before.refuse_another_update()
    stamp = service / ".twelvefold/template.json"
    stamp.write_text(stamp.read_text().replace("0.1.0", "0.2.0"))
    with pytest.raises(RefusedError, match="Another update was made"):
        before.refuse_another_update()


def test_each_service_and_each_worktree_has_a_journal_of_its_own(repository: Path) -> None:
    (repository / "services/a b").mkdir(parents=True)
    git(repository, "worktree", "add", "--quiet", "--detach", str(repository / "tree"))
    around = [Repository.around(repository / path) for path in ("", "services", "services/a b", "tree")]
    assert [one.prefix for one in around] == ["", "services/", "services/a b/", ""]
    assert len({one.state for one in around}) == 4
    assert all(one.state.is_relative_to(repository / ".git") for one in around)


def test_what_git_lacks_is_named_whatever_its_name(repository: Path) -> None:
    """Names are names, and no patterns or magic of git's."""
    for name in (":(top)a", "*", "[f]ile", "-x", "ü"):
        (repository / name).write_text("ours")
    here = Repository.around(repository)
    names = [":(top)a", "*", "[f]ile", "-x", "file", "ü"]
    assert here.tags(names) == {"file": "H"}
    commit(repository, "All")
    assert here.tags(names) == dict.fromkeys(names, "H")


def test_changes_are_of_the_service_alone(repository: Path) -> None:
    (repository / "services").mkdir()
    (repository / "services/ours").write_text("ours")
    commit(repository, "Ours")
    (repository / "file").write_text("changed")
    here = Repository.around(repository / "services")
    assert here.changes() == []
    here.refuse_changes()
    (repository / "services/a b").write_text("new")
    (repository / "services/ours").unlink()
    with pytest.raises(RefusedError, match=r"not committed \(services/ours and 1 more\)"):
        here.refuse_changes()


def test_what_is_shared_is_asked_for_at_the_workspace_s_root(tmp_path: Path) -> None:
    """git refuses paths beyond a link."""
    (tmp_path / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["services/*"]\n')
    (tmp_path / "vendor/chassis").mkdir(parents=True)
    (tmp_path / "vendor/chassis/core.py").write_text("")
    (tmp_path / ".gitignore").write_text("*.log\n")
    for name in ("a", "b"):
        (tmp_path / "services" / name).mkdir(parents=True)
        (tmp_path / "services" / name / "vendor").symlink_to("../../vendor")
    commit(tmp_path, "Begin")
    here, other = (Repository.around(tmp_path / "services" / name) for name in ("a", "b"))
    assert here.named("vendor/chassis/core.py") == "vendor/chassis/core.py"
    assert here.named("Makefile") == "services/a/Makefile"
    assert here.tags(["vendor/chassis/core.py", "vendor/none", "uv.lock"]) == {"vendor/chassis/core.py": "H"}
    rule = here.ignored(["vendor/chassis/core.py", "vendor/chassis/a.log"])
    assert rule == IgnoreRule("vendor/chassis/a.log", ".gitignore:1", "*.log")
    (tmp_path / "vendor/new").write_text("")
    (tmp_path / "uv.lock").write_text("")
    (tmp_path / "services/b/new").write_text("")
    assert here.changes() == ["uv.lock", "vendor/new"]
    assert (here.turn, here.state.parent) == (other.turn, other.state.parent)
    assert here.state != other.state


def test_no_commit_yet_is_said(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    with pytest.raises(RefusedError, match="The repository has no commit yet"):
        Repository.around(tmp_path).refuse_changes()
    assert [path.name for path in tmp_path.iterdir()] == [".git"]
