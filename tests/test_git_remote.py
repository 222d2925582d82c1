import pytest

from twelvefold.git_remote import TemplateRemote


@pytest.mark.parametrize(
    ("remote", "url"),
    [
        ("https://github.com/org/twelvefold.git", "https://github.com/org/twelvefold"),
        ("https://user:token@git.example.com:8443/org/twelvefold.git", "https://git.example.com:8443/org/twelvefold"),
        ("http://git.example.com/twelvefold", "http://git.example.com/twelvefold"),
        ("git@gitlab.com:org/sub/twelvefold.git", "https://gitlab.com/org/sub/twelvefold"),
        ("gitlab.com:org/twelvefold.git", "https://gitlab.com/org/twelvefold"),
        ("git@gitlab.com:/org/twelvefold.git", "https://gitlab.com/org/twelvefold"),
        ("ssh://git@git.example.com:2222/org/twelvefold.git", "https://git.example.com/org/twelvefold"),
        ("https://github.com/org/digit", "https://github.com/org/digit"),
        ("/srv/git/twelvefold.git", "/srv/git/twelvefold"),
        ("../twelvefold", "../twelvefold"),
        ("file:///srv/git/twelvefold.git", "file:///srv/git/twelvefold"),
    ],
)
def test_the_page_of_any_remote_without_its_secrets(remote: str, url: str) -> None:
    assert TemplateRemote(remote).project_url() == url


def test_the_page_of_a_commit() -> None:
    assert TemplateRemote("git@github.com:org/it.git").commit_url("abc") == "https://github.com/org/it/commit/abc"
