"""TOML taken apart: a text as tables, pairs and members that together hold every byte of it.

tree-sitter says where things stand. A `TomlSpot` finds what makes up a place, in whichever way of TOML's it
is written.
"""

from __future__ import annotations

import datetime
import json
import re
import tomllib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import takewhile
from operator import eq
from typing import TYPE_CHECKING, Any

from twelvefold.strategies.merging import UnreadableError
from twelvefold.strategies.rules import Path
from twelvefold.strategies.three_way import Data

if TYPE_CHECKING:
    from tree_sitter import Node as SyntaxNode
    from tree_sitter import Parser

BARE = re.compile(r"[A-Za-z0-9_-]+")
COMMENT_BEHIND = re.compile(rb"[ \t]*#[^\r\n]*")
REST_OF_LINE = re.compile(rb"[^\n]*\n")


@dataclass(eq=False)
class Value:
    """A scalar's text, or an array or inline table: its opening bracket and what stands in it."""

    opening: str  # the text of a scalar
    parts: list[Part] = field(default_factory=list)
    close: str = ""  # what stands before the closing bracket
    closing: str = ""

    def __str__(self) -> str:
        return "".join((self.opening, *map(str, self.parts), self.close, self.closing))


@dataclass(eq=False)
class Part:
    """A pair of a table or inline table, or a member of an array (without keys)."""

    lead: str  # blanks and comments above and before it
    keys: Path
    name: str  # the keys as they are written, with the equals sign
    value: Value
    gap: str = ""  # between the value and its comma
    comma: str = ""
    tail: str = ""  # the comment behind it; in a table up to the end of the line

    def __str__(self) -> str:
        return f"{self.lead}{self.name}{self.value}{self.gap}{self.comma}{self.tail}"


@dataclass(eq=False)
class Table:
    """A header and the pairs under it. The pairs above the first header are a table without a header."""

    lead: str
    keys: Path
    head: str
    tail: str
    parts: list[Part] = field(default_factory=list)

    def __str__(self) -> str:
        return "".join((self.lead, self.head, self.tail, *map(str, self.parts)))

    @property
    def is_member(self) -> bool:
        """Whether it is a member of an array of tables."""
        return self.head.startswith("[[")


@dataclass(eq=False)
class Document:
    """A text: its tables, the first of which has no header, and what stands behind all."""

    tables: list[Table]
    end: str

    def __str__(self) -> str:
        return "".join((*map(str, self.tables), self.end))


@dataclass(frozen=True)
class Found:
    """A table or part, the list that it stands in, and what its keys say below the place that was looked at."""

    keys: Path
    home: list[Any]
    thing: Table | Part


@dataclass(frozen=True)
class TomlSpot:
    """A place in a document, by keys and numbers of members, and the data that stand there."""

    document: Document
    where: tuple[str | int, ...]
    data: Data

    def below(self, step: str | int, data: Data) -> TomlSpot:
        return TomlSpot(self.document, (*self.where, step), data)

    def numbered(self, number: int) -> TomlSpot:
        return self.below(number, self.data[number])

    def saying(self, data: Data) -> TomlSpot:
        """The same place, after it was made to say `data`."""
        return TomlSpot(self.document, self.where, data)

    def above(self) -> TomlSpot:
        """The place that this is in; what it says is not looked at."""
        return TomlSpot(self.document, self.where[:-1], None)

    @property
    def keys(self) -> Path:
        """The keys without the numbers of members, as headers have them."""
        return tuple(step for step in self.where if isinstance(step, str))

    def found(self) -> list[Found]:
        """What makes up this place: one part, or whatever headers and dotted keys say something in it."""
        found = [
            one
            for table in self.document.tables
            if all(map(eq, table.keys, takewhile(lambda step: isinstance(step, str), self.where)))
            for one in (Found(table.keys, self.document.tables, table), *_found(table.parts, table.keys))
        ]
        for step in self.where:
            found = _step(found, step)
        return found

    def part(self) -> Part | None:
        """The pair or member whose value this is; None if the place is made of tables or dotted keys."""
        return _part(self.found())

    def inner(self) -> list[Found]:
        """What stands in a mapping, however it is written."""
        return _inner(self.found())

    def order(self) -> list[str]:
        """The keys in the order of the text, which is not that of the data where tables are written apart."""
        return list(dict.fromkeys(one.keys[0] for one in self.inner() if one.keys))

    def table(self) -> Table | None:
        """The table with this place's own header."""
        return next((one.thing for one in self.found() if not one.keys and isinstance(one.thing, Table)), None)

    def is_explicit(self) -> bool:
        """Whether the mapping has a value or a header of its own, so that it is there even if nothing is in it."""
        return self.part() is not None or self.table() is not None

    def is_bracketed(self) -> bool:
        """Whether this is the value of a pair or member in an array or inline table."""
        part = self.part()
        return part is not None and not any(part is one for table in self.document.tables for one in table.parts)

    def can_become(self, wanted: Data) -> bool:
        """Whether the mapping or list can stay written as it is; an empty list is better written anew."""
        if isinstance(wanted, dict) and isinstance(self.data, dict):
            return bool(wanted) or self.is_explicit()
        if not isinstance(wanted, list) or not isinstance(self.data, list):
            return False
        part = self.part()
        if part is not None:
            return bool(part.value.parts) or "#" in part.value.close
        return bool(wanted) and all(isinstance(member, dict) for member in wanted)

    def member_tables(self) -> list[Table]:
        """The tables of the member that this is in, or all."""
        depth = max((number for number, step in enumerate(self.where) if isinstance(step, int)), default=-1) + 1
        return tables_of(TomlSpot(self.document, self.where[:depth], None).found())

    def groups(self) -> list[list[Found]]:
        """The members of an array of tables."""
        return _groups(self.found())


def _found(parts: list[Part], above: Path = ()) -> list[Found]:
    return [Found(above + part.keys, parts, part) for part in parts]


def _step(found: list[Found], step: str | int) -> list[Found]:
    part = _part(found)
    if isinstance(step, int):
        return [Found((), part.value.parts, part.value.parts[step])] if part else _groups(found)[step]
    return [replace(one, keys=one.keys[1:]) for one in _inner(found) if one.keys[:1] == (step,)]


def _inner(found: list[Found]) -> list[Found]:
    part = _part(found)
    return _found(part.value.parts) if part else found


def _part(found: list[Found]) -> Part | None:
    return next((one.thing for one in found if not one.keys and isinstance(one.thing, Part)), None)


def _groups(found: list[Found]) -> list[list[Found]]:
    groups: list[list[Found]] = []
    for one in found:
        if not one.keys and isinstance(one.thing, Table) and one.thing.is_member:
            groups.append([])
        if groups:
            groups[-1].append(one)
    return groups


def tables_of(found: list[Found]) -> list[Table]:
    """The tables among `found`."""
    return [one.thing for one in found if isinstance(one.thing, Table)]


# Reading


@lru_cache
def _parser() -> Parser:
    import tree_sitter_toml
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_toml.language()))


def parse(text: str) -> Document:
    """Take `text` apart. Raises UnreadableError."""
    data = text.encode()
    root = _parser().parse(data).root_node
    if root.has_error:
        raise UnreadableError("It is TOML that tree-sitter cannot take apart.")
    return _Scanner(data).document(root)


class _Scanner:
    """Takes bytes apart, from the first to the last; `place` is how far it got."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def upto(self, place: int) -> str:
        start, self.place = self.place, place
        return self.data[start:place].decode()

    def matched(self, pattern: re.Pattern[bytes]) -> str:
        found = pattern.match(self.data, self.place)
        return self.upto(found.end()) if found else ""

    def document(self, root: SyntaxNode) -> Document:
        tables = [Table("", (), "", "")]
        for node in root.children:
            if node.type == "pair":
                tables[0].parts.append(self.line(node))
            elif node.type != "comment":
                tables.append(self.table(node))
        return Document(tables, self.upto(len(self.data)))

    def table(self, node: SyntaxNode) -> Table:
        lead = self.upto(node.start_byte)
        name, closing = node.children[1:3]
        table = Table(lead, self.keys(name), self.upto(closing.end_byte), self.matched(REST_OF_LINE))
        table.parts = [self.line(child) for child in node.children if child.type == "pair"]
        return table

    def line(self, node: SyntaxNode) -> Part:
        part = self.part(node)
        part.tail = self.matched(REST_OF_LINE)
        return part

    def part(self, node: SyntaxNode) -> Part:
        lead = self.upto(node.start_byte)
        if node.type != "pair":
            return Part(lead, (), "", self.value(node))
        key, _, value = node.children[:3]
        return Part(lead, self.keys(key), self.upto(value.start_byte), self.value(value))

    def keys(self, node: SyntaxNode) -> Path:
        if node.type == "dotted_key":
            return tuple(key for child in node.children if child.is_named for key in self.keys(child))
        text = self.data[node.start_byte : node.end_byte].decode()
        return (text,) if node.type == "bare_key" else tuple(tomllib.loads(f"{text} = 0"))

    def value(self, node: SyntaxNode) -> Value:
        if node.type not in {"array", "inline_table"}:
            return Value(self.upto(node.end_byte))
        value = Value(self.upto(node.children[0].end_byte))
        for child in node.children[1:-1]:
            if child.type == ",":
                value.parts[-1].gap = value.parts[-1].tail + self.upto(child.start_byte)
                value.parts[-1].comma = self.upto(child.end_byte)
                value.parts[-1].tail = self.matched(COMMENT_BEHIND)
            elif child.type != "comment":
                value.parts.append(self.part(child))
                value.parts[-1].tail = self.matched(COMMENT_BEHIND)
        value.close = self.upto(node.end_byte - 1)
        value.closing = self.upto(node.end_byte)
        return value


# Writing


def key_text(key: str) -> str:
    """`key` as it is written: bare if it can be."""
    return key if BARE.fullmatch(key) else _string(key)


def dotted(keys: Path) -> str:
    """`keys` as they are written."""
    return ".".join(map(key_text, keys))


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _written(data: Data) -> str:
    if isinstance(data, str):
        return _string(data)
    if isinstance(data, bool):
        return str(data).lower()
    if isinstance(data, datetime.date | datetime.time):
        return data.isoformat()
    if isinstance(data, list):
        return f"[{', '.join(map(_written, data))}]"
    if isinstance(data, dict):
        return (
            f"{{ {', '.join(f'{key_text(key)} = {_written(value)}' for key, value in data.items())} }}"
            if data
            else "{}"
        )
    return repr(data)


def plain(data: Data) -> Value:
    """`data` written plainly, and taken apart."""
    part = parse(f"x = {_written(data)}\n").tables[0].parts[0]
    return part.value
