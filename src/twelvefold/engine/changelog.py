"""What a changelog of the form of https://keepachangelog.com/en/1.1.0/ says between two versions."""

from __future__ import annotations

import re

from packaging.version import Version

from twelvefold.engine.template import version_of

BEFORE_SECTION = re.compile(r"^(?=## )", re.MULTILINE)
SECTION = re.compile(r"## \[?v?(?P<version>\d[^\]\s]*)")
HEADING = re.compile(r"^(?=#+ )", re.MULTILINE)
LINK_WITHIN = re.compile(r"(?<!!)\[([^\]\n]+)\]\((?![a-z][a-z0-9+.-]*:)[^)\s]*\)")


def between(text: str, old: str, new: str) -> str:
    """The sections of the versions after `old` up to `new`, as the file has them; "" if they are not known.

    The section of a version that is not released belongs to its development: `0.2.0` to `0.2.0.dev`. Links within the
    template's repository lose their target: they would lead nowhere in a service's.
    """
    after, until = version_of(old), version_of(new)
    if not after or not until:
        return ""
    sections = ((SECTION.match(section), section) for section in BEFORE_SECTION.split(text))
    found = [
        section.strip()
        for start, section in sections
        if start and (version := version_of(start["version"])) and after < version <= Version(until.base_version)
    ]
    return LINK_WITHIN.sub(r"\1", "\n\n".join(found))


def below(text: str, levels: int) -> str:
    """The text with its headings `levels` further down."""
    return HEADING.sub("#" * levels, text)
