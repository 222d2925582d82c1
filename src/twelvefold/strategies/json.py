"""JSON, without comments: changed where it stands, in the indentation that the text has."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from twelvefold.strategies import located
from twelvefold.strategies.located import Entry, Node, Spot, line_start
from twelvefold.strategies.merging import UnreadableError
from twelvefold.strategies.rules import Rules
from twelvefold.strategies.three_way import Data, same

if TYPE_CHECKING:
    import tree_sitter

UNIT = re.compile(r"^([ \t]+)", re.MULTILINE)


class JsonFormat:
    """JSON, as `merging.Format` wants it."""

    def load(self, text: str) -> Data:
        """Return what `text` says. Raises UnreadableError, also for a key that is there twice and for comments."""
        try:
            return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
        except json.JSONDecodeError as error:
            raise UnreadableError(f"It is not JSON: line {error.lineno}: {error.msg}.") from error
        except (RecursionError, ValueError) as error:
            raise UnreadableError(f"It is not JSON: {error}.") from error

    def conform(self, text: str, wanted: Data, sources: Sequence[str], rules: Rules) -> str:
        """Return `text` changed to say `wanted`. Raises UnreadableError if it cannot be read or located."""
        if same(self.load(text), wanted):
            return text
        return located.conform(Json(), text, wanted, sources, rules)


FORMAT = JsonFormat()


class Json:
    """How JSON writes entries, as `located.Syntax` wants it."""

    def parse(self, text: str) -> Node:
        """Locate the parts of `text`."""
        FORMAT.load(text)
        return _Locating(text).root()

    def written(self, data: Data) -> str:
        """Write `data` on one line."""
        return json.dumps(data, ensure_ascii=False)

    def inserted(self, text: str, parent: Node, index: int, new: Spot) -> str:
        """Put `new` into `parent`, before the entry at `index`."""
        key = new.text[new.entry.start : new.node.start]
        return located.flow_inserted(text, parent, index, key + _fitting(new, text, parent.entries[0].start))

    def removed(self, text: str, parent: Node, index: int, template: str) -> str:
        """Take the entry at `index` out of `parent`."""
        return located.flow_removed(text, parent, index)

    def replaced(self, old: Spot, new: Spot) -> str:
        """Put the value of `new` where that of `old` stands."""
        value = _fitting(new, old.text, old.entry.start)
        return old.text[: old.node.start] + value + old.text[old.node.end :]


class _Locating:
    def __init__(self, text: str) -> None:
        self.text = text
        self.positions: Sequence[int] = range(len(text) + 1)  # of the bytes that tree-sitter counts
        if not text.isascii():
            self.positions = [at for at, one in enumerate(text) for _ in one.encode()] + [len(text)]

    def root(self) -> Node:
        import tree_sitter
        import tree_sitter_json

        parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_json.language()))
        found = parser.parse(self.text.encode()).root_node
        if found.has_error:
            raise UnreadableError("It is JSON that cannot be located.")
        return self.node(found.named_children[0])

    def node(self, found: tree_sitter.Node) -> Node:
        start, end = self.positions[found.start_byte], self.positions[found.end_byte]
        if found.type not in {"object", "array"}:
            return Node(start, end, json.loads(self.text[start:end]))
        entries = tuple(map(self.entry, found.named_children))
        if found.type == "array":
            return Node(start, end, [entry.value.data for entry in entries], entries)
        return Node(start, end, {entry.key: entry.value.data for entry in entries}, entries)

    def entry(self, found: tree_sitter.Node) -> Entry:
        if found.type != "pair":
            value = self.node(found)
            return Entry(value.start, value.start, "", value)
        key, inner = map(self.node, found.named_children)
        return Entry(key.start, inner.start, key.data, inner)


def _unique(pairs: list[tuple[str, Data]]) -> dict[str, Data]:
    found: dict[str, Data] = {}
    for key, value in pairs:
        if key in found:
            raise UnreadableError(f"It has the key {key} again.")
        found[key] = value
    return found


def _refuse(name: str) -> NoReturn:
    raise UnreadableError(f"It is not JSON: {name} is no number.")


def _fitting(new: Spot, text: str, position: int) -> str:
    """The value of `new`, its lines indented as `text` does it at `position`."""
    was, now = _indent(new.text, new.entry.start), _indent(text, position)
    unit, other = _unit(new.text), _unit(text)
    first, *lines = new.raw.replace("\r\n", "\n").split("\n")
    ending = located.newline(text)
    return ending.join([first, *(_line(line, was, unit, now, other) for line in lines)])


def _line(line: str, was: str, unit: str, now: str, other: str) -> str:
    bare = line.lstrip(" \t")
    depth = (len(line) - len(bare) - len(was)) // len(unit)
    return now + other * depth + bare if bare else ""


def _indent(text: str, position: int) -> str:
    found = UNIT.match(text, line_start(text, position))
    return found[1] if found else ""


def _unit(text: str) -> str:
    found = UNIT.search(text)
    return found[1] if found else "  "
