"""What `fleet.toml` may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from twelvefold.errors import RefusedError
from twelvefold.fleet.config import load, of

SMALLEST: dict[str, Any] = {"template": "https://git.example.com/t", "services": [{"url": "git/a"}]}


def refused(**content: Any) -> str:
    """What is said of a file with this on top of the smallest."""
    with pytest.raises(RefusedError) as error:
        of({**SMALLEST, **content}, Path("fleet.toml"))
    return error.value.message


def test_the_smallest_file_has_everything() -> None:
    config = of(SMALLEST, Path("fleet.toml"))
    assert (config.branch, config.labels, config.forge.kind) == ("twelvefold/update", ("twelvefold",), "git")
    assert [wave.name for wave in config.waves] == ["all"]


def test_all_that_is_wrong_is_told_at_once() -> None:
    said = refused(timeout_seconds=0, forge={"kind": "gitea"}, wavs=[], waves=[{"name": "a b", "share": 2}])
    places = [line.strip().partition(": ")[0] for line in said.splitlines()[1:]]
    assert places == ["timeout_seconds", "forge.kind", "waves[0].name", "waves[0].share", "wavs"]


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch /tmp/owned'",
        "ext::sh -c echo% https://x",
        "fd::17/x",
        "ftp://git.example.com/a",
        "javascript://git.example.com/a",
        "git/a\n",
        "git/\x1b[31ma",
    ],
)
def test_an_address_that_git_would_run_or_a_terminal_obey_is_refused(url: str) -> None:
    assert "services[0].url: is no address of a repository" in refused(services=[{"url": url}])
    assert "template: is no address of a repository" in refused(template=url)


@pytest.mark.parametrize(
    "url",
    ["https://u:glpat-secret@git.example.com/a", "https://glpat-secret@git.example.com/a", "ssh://u:glpat-secret@h/a"],
)
def test_a_token_in_an_address_is_refused_and_not_repeated(url: str) -> None:
    said = refused(services=[{"url": url}])
    assert "holds a token or a password" in said
    assert "secret" not in said


@pytest.mark.parametrize(
    "url", ["git@git.example.com:a/b.git", "ssh://git@git.example.com/a", "file:///srv/a", "~/a", "/srv/*.git", "c:/a"]
)
def test_an_address_of_any_usual_kind_is_taken(url: str) -> None:
    assert of({**SMALLEST, "services": [{"url": url}]}, Path("fleet.toml")).services[0].url == url


@pytest.mark.parametrize("folder", ["../other", "/etc", "a/../../b", ".git/hooks", "a\nb"])
def test_a_folder_is_in_the_repository(folder: str) -> None:
    assert "services[0].folder: is no folder in a repository" in refused(services=[{"url": "git/a", "folder": folder}])


@pytest.mark.parametrize(("written", "meant"), [("services/cart/", "services/cart"), ("./cart", "cart"), (".", "")])
def test_a_folder_is_written_in_one_way(written: str, meant: str) -> None:
    config = of({**SMALLEST, "services": [{"url": "git/a", "folder": written}]}, Path("fleet.toml"))
    assert config.services[0].folder == meant


def test_whose_a_token_is_must_be_clear() -> None:
    assert "has a token_file and no url" in refused(forge={"kind": "git", "token_file": "token"})
    forge = of({**SMALLEST, "forge": {"kind": "gitlab", "token_file": "token"}}, Path("fleet.toml")).forge
    assert forge.address == "https://gitlab.com"


@pytest.mark.parametrize("token", ["GITLAB_TOKEN", "glpat-secret", "", 7, ["glpat-secret"]])
def test_a_token_by_a_variable_is_refused_with_the_words_to_use(token: object) -> None:
    said = refused(forge={"kind": "gitlab", "token": token})
    assert "forge.token: is taken no more" in said
    assert "token_file = 'PATH', or type --token-file FILE, - for standard input" in said
    assert "secret" not in said
    assert "forge.token_file: is the name of a file; for standard input" in refused(
        forge={"kind": "git", "token_file": "-"}
    )


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match=r"There is no .*fleet.toml\. Name it with --fleet FILE"):
        load(tmp_path / "fleet.toml")
    (tmp_path / "fleet.toml").write_bytes(b'template = "\xff"')
    with pytest.raises(RefusedError, match="is no TOML"):
        load(tmp_path / "fleet.toml")
    with pytest.raises(RefusedError, match="cannot be read: Is a directory"):
        load(tmp_path)


@pytest.mark.parametrize("place", [{}, {"gitlab": "a", "github": "b"}])
def test_what_is_discovered_has_one_place(place: dict[str, str]) -> None:
    assert "discover[0]: names one of gitlab (a group) and github (an organisation)" in refused(discover=[place])
