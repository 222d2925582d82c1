from __future__ import annotations

import pytest

from environments import TEMPLATE
from twelvefold.engine.changelog import below, between

TEXT = """# Changelog

## [Unreleased]

- Nobody has it.

## 0.3.0 - unreleased

### Added

- A queue ([docs](docs/queue.md#use), [site](https://example.org)). ![A picture](a.png)

## [0.2.0] - 2026-03-01

- Two.

## v0.1.0 - 2026-01-01

- One.
"""


@pytest.mark.parametrize(
    ("old", "new", "versions"),
    [
        ("0.1.0", "0.2.0", ["[0.2.0] - 2026-03-01"]),
        ("0.1.0", "0.3.0.dev", ["0.3.0 - unreleased", "[0.2.0] - 2026-03-01"]),
        ("0.3.0.dev", "0.3.0", ["0.3.0 - unreleased"]),
        ("0.0.9", "0.1.0", ["v0.1.0 - 2026-01-01"]),
        ("0.3.0", "0.1.0", []),
        ("an unknown version", "0.1.0", []),
        ("", "main", []),
    ],
)
def test_the_versions_after_the_old_one_are_told_up_to_the_new_one(old: str, new: str, versions: list[str]) -> None:
    said = between(TEXT, old, new)
    assert [line.removeprefix("## ") for line in said.splitlines() if line.startswith("## ")] == versions
    assert "Nobody has it" not in said
    assert not between("", old, new)


def test_only_links_that_lead_somewhere_are_left() -> None:
    said = between(TEXT, "0.2.0", "0.3.0")
    assert "- A queue (docs, [site](https://example.org)). ![A picture](a.png)" in said


def test_headings_go_below_those_of_what_they_are_put_into() -> None:
    assert below("## 0.1.0\n\n### Added\n\n- C# #1\n", 1) == "### 0.1.0\n\n#### Added\n\n- C# #1\n"


def test_the_templates_own_changelog_has_this_form() -> None:
    assert "### Added" in between((TEMPLATE / "CHANGELOG.md").read_text(encoding="utf-8"), "0.0.1", "0.1.0")
