from __future__ import annotations

from pathlib import Path

import pytest

from twelvefold.template import installable


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
