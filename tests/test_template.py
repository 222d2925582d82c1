from __future__ import annotations

from pathlib import Path

import pytest

from twelvefold.errors import FailedError, RefusedError
from twelvefold.template import find, installable


@pytest.mark.parametrize(
    ("source", "url"),
    [
        ("https://git.example.com/org/template", "git+https://git.example.com/org/template"),
        ("ssh://git@host/org/template.git", "git+ssh://git@host/org/template.git"),
        ("git@host:org/template.git", "git+ssh://git@host/org/template.git"),
        ("/srv/template", "git+file:///srv/template"),
        ("file:///srv/template", "git+file:///srv/template"),
        ("~/template", f"git+file://{Path.home()}/template"),
    ],
)
def test_where_a_newer_engine_is_installed_from(source: str, url: str) -> None:
    assert installable(source) == url


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
