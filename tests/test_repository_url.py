from __future__ import annotations

import pytest

from twelvefold.repository_url import as_url, is_remote, on_forge, without_suffix


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("git@git.example.com:org/pay.git", "ssh://git@git.example.com/org/pay.git"),
        ("git@git.example.com:/org/pay.git", "ssh://git@git.example.com/org/pay.git"),
        ("git.example.com:org/pay", "ssh://git.example.com/org/pay"),
        ("git.example.com:1/pay", "ssh://git.example.com/1/pay"),
        ("https://user:token@git.example.com:8443/org/pay", "https://user:token@git.example.com:8443/org/pay"),
        ("file:///srv/git/pay.git", "file:///srv/git/pay.git"),
    ],
)
def test_a_remote_as_a_url(address: str, url: str) -> None:
    assert is_remote(address)
    assert as_url(address) == url


@pytest.mark.parametrize("address", ["/srv/git/pay.git", "../pay", "./a:b", "~/pay", "pay", "", "ext::sh -c true"])
def test_a_path_is_none(address: str) -> None:
    assert not is_remote(address)
    assert as_url(address) == address
    assert on_forge(address) is None


@pytest.mark.parametrize(
    "address",
    [
        "https://git.example.com/org/pay",
        "https://user:token@GIT.example.com/org/pay.git/",
        "https://git.example.com/org/pay/.git",
        "ssh://git@git.example.com:2222/org/pay.git",
        "git://git.example.com/org/pay",
        "git@git.example.com:org/pay.git",
        "git@git.example.com:/org/pay",
        "git.example.com:org/pay",
    ],
)
def test_where_it_is_on_its_forge(address: str) -> None:
    assert on_forge(address) == ("https://git.example.com", "org/pay")


def test_the_port_of_a_page_is_kept() -> None:
    assert on_forge("http://user@git.example.com:8080/pay.git") == ("http://git.example.com:8080", "pay")


@pytest.mark.parametrize("address", ["https://git.example.com/", "file://git.example.com/pay", "https:///org/pay"])
def test_what_names_no_repository_of_a_host_is_on_no_forge(address: str) -> None:
    assert on_forge(address) is None


@pytest.mark.parametrize("address", ["org/pay", "org/pay/", "org/pay.git", "org/pay.git/", "org/pay/.git"])
def test_what_may_stand_at_the_end(address: str) -> None:
    assert without_suffix(address) == "org/pay"
