from __future__ import annotations

from pathlib import Path

import pytest

from twelvefold.engine.template import NoReleaseError, Template, find, finding_once, installable
from twelvefold.errors import FailedError, RefusedError
from twelvefold.git import git


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("https://git.example.com/org/template", "git+https://git.example.com/org/template"),
        ("ssh://git@host/org/template.git", "git+ssh://git@host/org/template.git"),
        ("git@host:org/template.git", "git+ssh://git@host/org/template.git"),
        ("host:org/template.git", "git+ssh://host/org/template.git"),
        ("/srv/template", "git+file:///srv/template"),
        ("file:///srv/template", "git+file:///srv/template"),
        ("~/template", f"git+file://{Path.home()}/template"),
    ],
)
def test_where_a_newer_engine_is_installed_from(source: str, url: str) -> None:
    assert installable(source) == url


def test_a_bare_repository_that_was_committed_into_a_service_has_no_say(tmp_path: Path) -> None:
    """Its settings name a command that git runs when it looks for what it has not, which `status` would do."""
    service, executed = tmp_path / "service", tmp_path / "executed"
    service.mkdir()
    git(service, "init", "--quiet")
    git(service, "init", "--quiet", "--bare", "template")
    bare = service / "template"
    commit = f"tree {'1' * 40}\nauthor a <a> 0 +0000\ncommitter a <a> 0 +0000\n\nOf files that are elsewhere\n"
    named = git(bare, "hash-object", "-t", "commit", "-w", "--stdin", stdin=commit)
    git(bare, "update-ref", "refs/heads/main", named)
    settings = {"core.repositoryFormatVersion": "1", "extensions.partialClone": "o", "remote.o.promisor": "true"}
    settings |= {"remote.o.url": "ssh://nowhere/x", "core.sshCommand": f"touch {executed};"}
    for name, value in settings.items():
        git(bare, "config", name, value)
    with pytest.raises(RefusedError, match="is a bare repository inside of another one"):
        find(str(bare), "main").rules()
    assert not executed.exists()


def test_a_bare_repository_of_its_own_is_as_good_as_any(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--bare", "template.git")
    with pytest.raises(NoReleaseError):
        find(str(tmp_path / "template.git"), None)


@pytest.mark.parametrize("url", ["template", "gh:org/template", "bb:org/template", "ext::touch executed"])
def test_what_git_would_not_find_is_refused_with_what_to_type(url: str) -> None:
    with pytest.raises(RefusedError, match=r"is no folder and no URL\. Name the template: --template https://"):
        find(url, None)


@pytest.mark.parametrize(
    "url", ["--upload-pack=touch executed;://x", "-u@host:touch", "~nobody-of-this-name/template", "https://a\0b"]
)
def test_a_url_out_of_a_service_is_never_an_option_of_git_s(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`status` looks for the newest release of templates that nobody trusted."""
    monkeypatch.setenv("TWELVEFOLD_CACHE", str(tmp_path))
    with pytest.raises((RefusedError, FailedError)):
        find(url, None)
    assert not list(tmp_path.rglob("executed"))


def test_what_is_looked_up_once_is_looked_up_anew_afterwards(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "cookiecutter.json").write_text("{}")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "Begin")
    git(tmp_path, "tag", "0.1.0")

    def looked_up() -> tuple[Template, bool]:
        found = find(str(tmp_path), None)
        return found, found.has_changes()

    with finding_once():
        before = looked_up()
        git(tmp_path, "tag", "0.2.0")
        (tmp_path / "cookiecutter.json").write_text("{ }")
        with finding_once():
            assert looked_up() == before
        assert looked_up() == before
    assert (before[0].ref, before[1]) == ("0.1.0", False)
    assert (looked_up()[0].ref, looked_up()[1]) == ("0.2.0", True)
