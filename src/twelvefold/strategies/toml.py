"""TOML: pyproject.toml and the like.

tomllib says what a text means. The text is taken apart (toml_document), the document is changed (toml_change,
toml_edit) and put together again.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import lru_cache

from twelvefold.strategies import lines
from twelvefold.strategies.merging import UnreadableError
from twelvefold.strategies.rules import Rules
from twelvefold.strategies.three_way import Data, same
from twelvefold.strategies.toml_change import Conformer
from twelvefold.strategies.toml_document import TomlSpot, parse
from twelvefold.strategies.toml_edit import Edit
from twelvefold.strategies.toml_layout import is_comment, only_of_the_first


class Toml:
    """Reads and changes TOML."""

    def load(self, text: str) -> Data:
        """Return what `text` says. Raises UnreadableError."""
        try:
            return _loaded(text)
        except (ValueError, RecursionError) as error:
            raise UnreadableError(f"It is no TOML: {error}.") from error

    def conform(self, text: str, wanted: Data, sources: Sequence[str], rules: Rules) -> str:
        """Return `text` changed to say `wanted`; all else stays byte for byte. Raises UnreadableError."""
        data = self.load(text)
        if same(data, wanted):
            return text
        newline, ended = lines.newline_of(text), lines.ends(text)
        document = parse(text if ended else text + newline)
        spots = [TomlSpot(parse(lines.with_ends(one, newline)), (), self.load(one)) for one in sources]
        known = lines.comments_of(lines.templates(sources), is_comment) if len(sources) > 2 else None
        strays = only_of_the_first(sources) if len(sources) > 1 else set()
        headers = {table.keys for one in spots[:1] for table in one.document.tables}
        conformer = Conformer(Edit(document, newline, known, strays), rules, headers)
        conformer.mapping((), TomlSpot(document, (), data), wanted, spots)
        changed = str(document)
        return changed if ended else lines.bare(changed)


FORMAT = Toml()


@lru_cache(maxsize=64)  # a merge reads the same texts several times; nobody changes what comes out
def _loaded(text: str) -> Data:
    return tomllib.loads(text)
