"""A service's report as HTML that is safe in a page: what is in it comes from repositories that nobody vouches for."""

from __future__ import annotations

import re
from functools import cache

from markdown_it import MarkdownIt

_BELOW = 3
"""The page's own headings go so deep."""


def as_html(report: str) -> str:
    """The report, with HTML in it shown as text, pictures left out, and links to the web alone."""
    markdown = _markdown()
    tokens = markdown.parse(_without_folds(report))
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(int(token.tag[1:]) + _BELOW, 6)}"
    return str(markdown.renderer.render(tokens, markdown.options, {}))


@cache
def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).disable(["image", "html_block", "html_inline"])
    markdown.validateLink = lambda url: url.startswith(("https://", "http://"))  # type: ignore[method-assign]
    return markdown


def _without_folds(report: str) -> str:
    """The report without the tags that fold parts of it away on a forge: here all of it is folded."""
    told = re.sub(r"^( *)</details>$", "", report, flags=re.MULTILINE)
    return re.sub(r"^( *)<details><summary>(.*)</summary>$", r"\1**\2**", told, flags=re.MULTILINE)
