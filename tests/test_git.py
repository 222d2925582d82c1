from __future__ import annotations

import os
from pathlib import Path

import pytest

from conftest import commit
from twelvefold.git import GitError, blob, git, within, without_credentials


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:token@host/a.git", "https://host/a.git"),
        ("https://token@host:8443/a.git", "https://host:8443/a.git"),
        ("https://user:p@ss@host/a.git", "https://host/a.git"),
        ("https://:token@host", "https://host"),
        ("ssh://git@host/a.git", "ssh://git@host/a.git"),
        ("git@host:a.git", "git@host:a.git"),
        (
            "fatal: 'https://a:b@host/x' and 'https://c@host/y@z' failed",
            "fatal: 'https://host/x' and 'https://host/y@z' failed",
        ),
        ("https://host/a@b", "https://host/a@b"),
        ("/srv/git/a@b.git", "/srv/git/a@b.git"),
    ],
)
def test_nobody_s_credentials_are_shown(text: str, shown: str) -> None:
    assert without_credentials(text) == shown


def test_a_complaint_is_one_line_and_without_credentials(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    with pytest.raises(GitError) as failure:
        git(tmp_path, "fetch", "--quiet", "http://user:t0k3n@127.0.0.1:1/a.git")
    assert failure.value.exit_code == 3
    assert failure.value.message.startswith("git fetch: fatal: unable to access 'http://127.0.0.1:1/a.git")
    assert "\n" not in failure.value.message


def test_a_complaint_says_what_is_wrong_and_not_git_s_advice(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    with pytest.raises(GitError) as failure:
        git(tmp_path, "fetch", "--quiet", "file:///nowhere/a.git")
    assert failure.value.message == "git fetch: fatal: '/nowhere/a.git' does not appear to be a git repository"


def test_a_blob_is_its_bytes_and_none_if_there_is_none(tmp_path: Path) -> None:
    for content in (b"", b"a\n\n", b"a\r\n\xff\0"):
        (tmp_path / "file").write_bytes(content)
        commit(tmp_path, f"{content!r}")
        assert blob(tmp_path, "HEAD:./file") == content
    assert blob(tmp_path, "HEAD:./other") is None
    assert blob(tmp_path, "no-such-commit:file") is None


def test_a_blob_that_git_does_not_get_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with within(0), pytest.raises(GitError, match="no answer in the time that there was"):
        blob(tmp_path, "HEAD:./file")


def test_a_calling_git_has_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a hook, which git calls with these set."""
    (tmp_path / "file").touch()
    commit(tmp_path, "Begin")
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert git(tmp_path, "rev-parse", "--show-toplevel") == str(tmp_path.resolve())
    assert git(tmp_path, "ls-files") == "file"
