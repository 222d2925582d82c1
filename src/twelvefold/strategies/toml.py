"""TOML: pyproject.toml and the like.

tomllib says what a text means, tree-sitter where it stands. The text is taken apart into tables, pairs and members
that together hold every byte of it, these are changed, and put together again.
"""

from __future__ import annotations

import datetime
import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import takewhile
from operator import eq
from typing import TYPE_CHECKING, Any

from twelvefold.strategies.merging import UnreadableError
from twelvefold.strategies.rules import Path, Rules
from twelvefold.strategies.three_way import Data, identities, same

if TYPE_CHECKING:
    from tree_sitter import Node as SyntaxNode
    from tree_sitter import Parser

BARE = re.compile(r"[A-Za-z0-9_-]+")
BREAK = re.compile(r"\r?\n")
COMMENT_BEHIND = re.compile(rb"[ \t]*#[^\r\n]*")
REST_OF_LINE = re.compile(rb"[^\n]*\n")
INDENT = "  "


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
        return self.head.startswith("[[")


@dataclass(eq=False)
class Document:
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
class Spot:
    """A place in a document, by keys and numbers of members, and the data that stand there."""

    document: Document
    where: tuple[str | int, ...]
    data: Data

    def below(self, step: str | int, data: Data) -> Spot:
        return Spot(self.document, (*self.where, step), data)

    def numbered(self, number: int) -> Spot:
        return self.below(number, self.data[number])

    def saying(self, data: Data) -> Spot:
        return Spot(self.document, self.where, data)

    def above(self) -> Spot:
        return Spot(self.document, self.where[:-1], None)

    @property
    def keys(self) -> Path:
        return tuple(step for step in self.where if isinstance(step, str))

    def found(self) -> list[Found]:
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
        return list(dict.fromkeys(one.keys[0] for one in self.inner() if one.keys))

    def table(self) -> Table | None:
        """The table with this place's own header."""
        return next((one.thing for one in self.found() if not one.keys and isinstance(one.thing, Table)), None)

    def is_explicit(self) -> bool:
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
        return _tables(Spot(self.document, self.where[:depth], None).found())

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


def _tables(found: list[Found]) -> list[Table]:
    return [one.thing for one in found if isinstance(one.thing, Table)]


# Reading


@lru_cache(maxsize=64)  # a merge reads the same texts several times; nobody changes what comes out
def _loaded(text: str) -> Data:
    return tomllib.loads(text)


class _Toml:
    def load(self, text: str) -> Data:
        try:
            return _loaded(text)
        except (ValueError, RecursionError) as error:
            raise UnreadableError(f"It is no TOML: {error}.") from error

    def conform(self, text: str, wanted: Data, sources: Sequence[str], rules: Rules) -> str:
        data = self.load(text)
        if same(data, wanted):
            return text
        newline = "\r\n" if text.count("\r\n") * 2 > text.count("\n") else "\n"
        ended = text.endswith("\n") or not text
        document = _document(text if ended else text + newline)
        spots = [Spot(_document(BREAK.sub(newline, one)), (), self.load(one)) for one in sources]
        templates = (sources[0], *sources[2:]) if len(sources) > 2 else None
        change = _Change(document, newline, rules, templates)
        change.headers = {table.keys for one in spots[:1] for table in one.document.tables}
        change.strays = _only_of_the_first(sources) if len(sources) > 1 else set()
        change.mapping((), Spot(document, (), data), wanted, spots)
        changed = str(document)
        return changed if ended else changed.removesuffix("\n").removesuffix("\r")


FORMAT = _Toml()


@lru_cache
def _parser() -> Parser:
    import tree_sitter_toml
    from tree_sitter import Language, Parser

    return Parser(Language(tree_sitter_toml.language()))


def _document(text: str) -> Document:
    data = text.encode()
    root = _parser().parse(data).root_node
    if root.has_error:
        raise UnreadableError("It is TOML that tree-sitter cannot take apart.")
    return _Reading(data).document(root)


class _Reading:
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


def _key(key: str) -> str:
    return key if BARE.fullmatch(key) else _string(key)


def _dotted(keys: Path) -> str:
    return ".".join(map(_key, keys))


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
        return f"{{ {', '.join(f'{_key(key)} = {_written(value)}' for key, value in data.items())} }}" if data else "{}"
    return repr(data)


def _value(data: Data) -> Value:
    """`data` written plainly, and taken apart."""
    part = _document(f"x = {_written(data)}\n").tables[0].parts[0]
    return part.value


# Comments and blank lines


@dataclass(frozen=True)
class Lead:
    """What stands above a thing: what is left of the line before, what is nobody's, its own comments, its indent."""

    before: str
    free: str
    own: str
    indent: str

    @property
    def above(self) -> str:
        return self.before + self.free


def _lead(text: str, in_brackets: bool = False) -> Lead:
    lines = text.split("\n")
    before = f"{lines.pop(0)}\n" if in_brackets and len(lines) > 1 else ""
    indent = lines.pop()
    first_own = len(lines)
    while first_own and lines[first_own - 1].strip():
        first_own -= 1
    free, own = ("".join(f"{line}\n" for line in some) for some in (lines[:first_own], lines[first_own:]))
    return Lead(before, free, own, indent)


def _without_blank_end(text: str) -> str:
    lines = text.split("\n")[:-1]
    while lines and not lines[-1].strip():
        lines.pop()
    return "".join(f"{line}\n" for line in lines)


def _starts_blank(text: str) -> bool:
    return "\n" in text and not text.partition("\n")[0].strip()


def _indented(own: str, indent: str) -> str:
    return "".join(f"{indent}{line.lstrip()}\n" for line in own.split("\n")[:-1])


def _shift(value: Value, old: str, new: str) -> Value:
    """`value` with its inner lines indented by `new` where they were by `old`."""
    if old != new:
        value.close = _shifted(value.close, old, new)
        for part in value.parts:
            part.lead = _shifted(part.lead, old, new)
            _shift(part.value, old, new)
    return value


def _shifted(text: str, old: str, new: str) -> str:
    first, *lines = text.split("\n")
    return "\n".join([first, *(new + line.removeprefix(old) for line in lines)])


# Changing


class _Change:
    """Makes one document say what it should."""

    def __init__(self, document: Document, newline: str, rules: Rules, templates: Sequence[str] | None = None) -> None:
        self.document = document
        self.newline = newline
        self.rules = rules
        self.known = {line for one in templates for line in _comments(one)} if templates is not None else None
        self.headers: set[Path] = set()  # that the template writes
        self.strays: set[str] = set()  # comments of the template's that the merge of the lines may have misplaced

    def value(self, path: Path, spot: Spot, wanted: Data, sources: list[Spot]) -> None:
        if not spot.can_become(wanted):
            self.replace(spot, wanted, sources)
        elif isinstance(wanted, dict):
            self.mapping(path, spot, wanted, sources)
        else:
            self.members(path, spot, wanted, sources)

    def replace(self, spot: Spot, wanted: Data, sources: list[Spot]) -> None:
        part = spot.part()
        source = next((one for one in sources if same(one.data, wanted) and one.part()), None)
        if part is not None and (source or spot.is_bracketed()):
            lead = _lead(part.lead, spot.is_bracketed())
            kept = "" if spot.is_bracketed() else self.of_the_team(replace(part, lead=""))
            part.value = self.copied(source, lead.indent) if source else _value(wanted)
            part.lead = f"{lead.above}{lead.own}{kept}{lead.indent}" if kept else part.lead
            return
        key = str(spot.where[-1])
        parent = Spot(self.document, spot.where[:-1], None)
        self.delete(parent, key)
        said = self.insert(parent, key, wanted, sources)
        if not same(said, wanted):
            self.value(spot.keys, spot.saying(said), wanted, sources)

    def copied(self, source: Spot, indent: str) -> Value:
        part = source.part()
        if part is None:
            return _value(source.data)
        return _shift(deepcopy(part.value), _lead(part.lead, source.is_bracketed()).indent, indent)

    # Mappings

    def mapping(self, path: Path, spot: Spot, wanted: Mapping[str, Data], sources: list[Spot]) -> None:
        sources = [one for one in sources if isinstance(one.data, dict)]
        said = dict(spot.data)
        for key in wanted:
            if key not in said:
                said[key] = self.insert(spot, key, wanted[key], _below(sources, key))
        for key in spot.data:
            if key not in wanted:
                self.delete(spot, key)
                self.drop_header(spot)
        for key in wanted:
            if not same(said[key], wanted[key]):
                self.value((*path, key), spot.below(key, said[key]), wanted[key], _below(sources, key))

    def insert(self, spot: Spot, key: str, wanted: Data, sources: list[Spot]) -> Data:
        """Write `key` as the first fitting source does, and return what it says then."""
        source = _fitting(sources, wanted)
        if source is None:
            self.insert_part(spot, key, Part("", (key,), f"{_key(key)} = ", _value(wanted)), None)
            return wanted
        if spot.part() is not None:
            self.insert_part(spot, key, self.in_brackets(key, source), source)
            return source.data
        found = source.found()
        tables = [one.thing for one in found if isinstance(one.thing, Table)]
        inside = {id(part) for table in tables for part in table.parts}
        for one in found:
            if isinstance(one.thing, Part) and id(one.thing) not in inside:
                self.insert_part(spot, key, replace(one.thing, keys=(key, *one.keys)), source)
        if tables:
            self.insert_tables(self.place_of_table(spot, source, tables[0]), tables)
        return source.data

    def in_brackets(self, key: str, source: Spot) -> Part:
        part = source.part()
        name = part.name if part is not None and part.keys == (key,) else f"{_key(key)} = "
        lead, tail = (part.lead, part.tail) if part is not None and source.is_bracketed() else ("", "")
        return Part(lead, (key,), name, self.copied(source, ""), tail=tail)

    def insert_part(self, spot: Spot, key: str, part: Part, source: Spot | None) -> None:
        """Put `part`, whose keys are those below `spot`, where its neighbours in `source` say."""
        order = source.above().order() if source else []
        inline = spot.part()
        if inline is not None:
            home = inline.value.parts
            self.put_inside(inline.value, _place(home, spot.inner(), key, order)[0], part)
            return
        home, prefix = self.home(spot, source)
        keys = (*prefix, *part.keys)
        original = source.part() if source else None
        name = part.name if original is None or original.keys == keys else f"{_dotted(keys)} = "
        name = name if len(keys) == len(part.keys) else f"{_dotted(keys)} = "
        index, before = _place(home, spot.inner(), key, order)
        self.put_line(home, index, before, replace(part, keys=keys, name=name, value=deepcopy(part.value)))

    def home(self, spot: Spot, source: Spot | None) -> tuple[list[Part], Path]:
        """Where pairs of a table stand, and the keys that they are written with there."""
        found = spot.found()
        for one in found:
            if not one.keys and isinstance(one.thing, Table):
                return one.thing.parts, ()
        for one in found:
            if isinstance(one.thing, Part) and len(one.thing.keys) > len(one.keys):
                return one.home, one.thing.keys[: len(one.thing.keys) - len(one.keys)]
        table = Table(self.newline, spot.keys, f"[{_dotted(spot.keys)}]", self.newline)
        original = source.above().table() if source else None
        if original is not None:
            table = replace(original, parts=[])
        first = next((one.thing for one in found if isinstance(one.thing, Table)), None)
        place = self.document.tables.index(first) if first else len(self.document.tables)
        return self.insert_tables(place, [table])[0].parts, ()

    def put_line(self, home: list[Part], index: int, before: bool, part: Part) -> None:
        self.unstray([part])
        lead = _lead(part.lead)
        indent = _lead(home[min(index, len(home) - 1)].lead).indent if home else ""
        free, following = "", self.lead_behind(home, index)
        if before or (home is self.document.tables[0].parts and not home):
            free = _lead(following).free
            self.set_lead_behind(home, index, following.removeprefix(free) if home else self.apart(following, free))
        elif _without_blank_end(lead.free) != lead.free and self.ends_block(home, index, following):
            free = self.newline
        part.lead = free + _indented(lead.own, indent) + indent
        part.value = _shift(part.value, lead.indent, indent)
        part.tail = part.tail if part.tail.endswith("\n") else part.tail + self.newline
        part.gap = part.comma = ""
        home.insert(index, part)

    def apart(self, lead: str, above: str) -> str:
        """`lead` without `above`, and with the blank lines that ended it, or one, if there is anything below."""
        rest = lead.removeprefix(above)
        below = len(self.document.tables) > 1 or self.document.end
        blank = above.removeprefix(_without_blank_end(above)) or self.newline
        return blank + rest if below and not _starts_blank(rest) else rest

    def ends_block(self, home: list[Part], index: int, following: str) -> bool:
        return bool(home) and index > 0 and (index == len(home) or _starts_blank(following))

    # Tables

    def place_of_table(self, spot: Spot, source: Spot, table: Table) -> int:
        """Behind the table that precedes it in the source, or before the one that follows it there."""
        allowed, tables = spot.member_tables(), self.document.tables
        there = source.document.tables
        place = there.index(table)
        for earlier in reversed(there[1:place]):
            found = [one for one in allowed if one.keys == earlier.keys]
            if found:
                return self.behind(found[-1], table.keys)
        for later in there[place + 1 :]:
            found = [one for one in allowed if one.keys == later.keys]
            if found and later.keys[: len(source.keys)] != source.keys:
                return tables.index(found[0])
        return tables.index(allowed[-1]) + 1

    def behind(self, table: Table, keys: Path) -> int:
        """Behind `table` and, unless `keys` are among them, the tables in it."""
        tables, depth = self.document.tables, len(table.keys)
        place = tables.index(table) + 1
        while (
            keys[:depth] != table.keys
            and place < len(tables)
            and len(tables[place].keys) > depth
            and tables[place].keys[:depth] == table.keys
        ):
            place += 1
        return place

    def insert_tables(self, place: int, originals: list[Table]) -> list[Table]:
        tables = self.document.tables
        self.unstray(originals)
        news = [deepcopy(table) for table in originals]
        for new in news:
            lead = _lead(new.lead)
            new.lead = self.newline + lead.own + lead.indent
            new.tail = new.tail or self.newline
        following = self.lead_of_table(place)
        if place == 1 and not tables[0].parts:
            above = _lead(following).free
            rest = self.apart(following, above)
            news[0].lead = above + news[0].lead.removeprefix(self.newline)
        else:
            above = _attached(following, place == len(tables))
            rest = following.removeprefix(above)
            news[0].lead = above + news[0].lead
        self.set_lead_of_table(place, rest)
        tables[place:place] = news
        return news

    # Deleting

    def delete(self, spot: Spot, key: str) -> None:
        inline = spot.part()
        found = spot.below(key, None).found()
        tables = [one.thing for one in found if isinstance(one.thing, Table)]
        inside = {id(part) for table in tables for part in table.parts}
        for one in found:
            if inline is not None and isinstance(one.thing, Part):
                self.remove_inside(inline.value, one.thing)
            elif id(one.thing) not in inside:
                self.remove(one.home, one.thing)

    def drop_header(self, spot: Spot) -> None:
        """Remove a header that holds nothing any more and that its sub-tables can do without."""
        table = spot.table()
        if table is None or table.is_member or table.parts or table.keys in self.headers or "#" in table.tail:
            return
        if table.head and len(spot.found()) > 1:
            self.remove(self.document.tables, table)

    def remove(self, home: list[Any], thing: Table | Part) -> None:
        lead = _lead(thing.lead)
        is_first = str(self.document).startswith(str(thing)) and self.is_first(thing)
        index = home.index(thing)
        del home[index]
        kept = self.of_the_team(thing)
        rest = lead.free + kept + (self.newline if kept else "")
        following = self.lead_behind(home, index)
        at_end = self.is_end(home, index)
        body = _without_blank_end(rest)
        if body:
            following = body + following if at_end or _starts_blank(following) else rest + following
        elif is_first:
            following = _without_blank_start(following) if not lead.free else following
        elif rest and not at_end and self.keeps_apart(thing, home, index, following):
            following = rest + following
        self.set_lead_behind(home, index, following)

    def is_first(self, thing: Table | Part) -> bool:
        first = next((one for one in (*self.document.tables[0].parts, *self.document.tables[1:])), None)
        return thing is first

    def keeps_apart(self, thing: Table | Part, home: list[Any], index: int, following: str) -> bool:
        if _starts_blank(following):
            return False
        return bool(_attached(following)) if isinstance(thing, Table) else index < len(home)

    def of_the_team(self, thing: Table | Part) -> str:
        """The comment lines above and in `thing` that no template ever had."""
        if self.known is None:
            return ""
        return "".join(f"{line}{self.newline}" for line in _comments_of(thing) if line not in self.known)

    def unstray(self, news: Sequence[Table | Part]) -> None:
        """Take the comments of what is put in away from where the merge of the lines has put them."""
        for line in {line for thing in news for line in _comments_of(thing)} & self.strays:
            self.strays.remove(line)
            for thing in _things(self.document.tables):
                first, *lines = thing.lead.split("\n")
                thing.lead = "\n".join([first, *(one for one in lines if one.strip() != line)])
                if first.strip() == line:
                    thing.lead = "\n".join(one for one in lines if one.strip() != line)

    # What stands behind a place in a table or between tables

    def is_end(self, home: list[Any], index: int) -> bool:
        return index == len(home) and (home is self.document.tables or self.table_behind(home) is None)

    def table_behind(self, home: list[Any]) -> Table | None:
        place = next(place for place, table in enumerate(self.document.tables) if table.parts is home) + 1
        return self.document.tables[place] if place < len(self.document.tables) else None

    def thing_behind(self, home: list[Any], index: int) -> Table | Part | None:
        if index < len(home):
            thing: Table | Part = home[index]
            return thing
        return None if home is self.document.tables else self.table_behind(home)

    def lead_behind(self, home: list[Any], index: int) -> str:
        thing = self.thing_behind(home, index)
        return self.document.end if thing is None else thing.lead

    def set_lead_behind(self, home: list[Any], index: int, lead: str) -> None:
        thing = self.thing_behind(home, index)
        if thing is None:
            self.document.end = lead
        else:
            thing.lead = lead

    def lead_of_table(self, place: int) -> str:
        return self.lead_behind(self.document.tables, place)

    def set_lead_of_table(self, place: int, lead: str) -> None:
        self.set_lead_behind(self.document.tables, place, lead)

    # Members

    def members(self, path: Path, spot: Spot, wanted: list[Data], sources: list[Spot]) -> None:
        sources = [one for one in sources if isinstance(one.data, list)]
        by = self.rules.at(path).by
        ours, names, *theirs = identities(by, spot.data, wanted, *(one.data for one in sources))
        said = dict(ours)
        numbers = [list(one) for one in theirs]
        below = {
            name: [
                one.numbered(known.index(name)) for one, known in zip(sources, numbers, strict=True) if name in known
            ]
            for name in names
        }
        news = {name: _fitting(below[name], names[name]) for name in names if name not in ours}
        said.update({name: one.data if one else names[name] for name, one in news.items()})
        part = spot.part()
        if part is not None:
            self.members_of_array(part.value, list(ours), names, news)
        else:
            self.members_of_tables(spot, list(ours), names, news)
        for number, (name, member) in enumerate(names.items()):
            if not same(said[name], member):
                self.value((*path, name), spot.below(number, said[name]), member, below[name])

    def members_of_array(
        self, value: Value, ours: list[str], names: Mapping[str, Data], news: Mapping[str, Spot | None]
    ) -> None:
        parts = dict(zip(ours, value.parts, strict=True))
        for name, place in _places(ours, list(names)):
            source = news[name]
            part = self.member(source) if source else Part("", (), "", _value(names[name]))
            index = len(value.parts) if place is None else value.parts.index(parts[place[0]]) + place[1]
            self.put_inside(value, index, part)
            parts[name] = part
        for name in ours:
            if name not in names:
                self.remove_inside(value, parts[name])
        order = [parts[name] for name in names]
        if value.parts != order:
            _reorder(value, order)

    def member(self, source: Spot) -> Part:
        original = source.part()
        if original is None:
            return Part("", (), "", _value(source.data))
        return deepcopy(original)

    def members_of_tables(
        self, spot: Spot, ours: list[str], names: Mapping[str, Data], news: Mapping[str, Spot | None]
    ) -> None:
        tables = {name: _tables(group) for name, group in zip(ours, spot.groups(), strict=True)}
        for name, place in _places(ours, list(names)):
            source = news[name]
            group = _tables(source.found()) if source else []
            group = group or [self.table_of(spot.keys, names[name] if source is None else source.data)]
            index = self.index_of(tables, place)
            tables[name] = self.insert_tables(index, group)
        for name in ours:
            if name not in names:
                for table in tables[name]:
                    self.remove(self.document.tables, table)
        self.reorder_tables([tables[name] for name in names])

    def index_of(self, tables: Mapping[str, list[Table]], place: tuple[str, int] | None) -> int:
        if place is None:
            return 1 + max(self.document.tables.index(one) for group in tables.values() for one in group)
        group = tables[place[0]]
        return self.document.tables.index(group[-1]) + 1 if place[1] else self.document.tables.index(group[0])

    def reorder_tables(self, groups: list[list[Table]]) -> None:
        tables = self.document.tables
        order = [table for group in groups for table in group]
        slots = sorted(tables.index(table) for table in order)
        if [tables[slot] for slot in slots] != order:
            for slot, table in zip(slots, order, strict=True):
                tables[slot] = table

    def table_of(self, keys: Path, data: Mapping[str, Data]) -> Table:
        parts = [Part("", (key,), f"{_key(key)} = ", _value(value), tail=self.newline) for key, value in data.items()]
        return Table(self.newline, keys, f"[[{_dotted(keys)}]]", self.newline, parts)

    # In brackets

    def put_inside(self, value: Value, index: int, part: Part) -> None:
        """Put a member or pair into an array or inline table, written as its neighbours are."""
        self.unstray([part])
        parts = value.parts
        ends_with_comma = parts[-1].comma if parts else ""
        old = _lead(part.lead, in_brackets=True)
        lead = self.fresh_lead(value, index)
        part.tail = part.tail if "\n" in lead else ""
        if "\n" in lead:
            indent = lead.rpartition("\n")[2]
            lead = lead.rpartition("\n")[0] + "\n" + _indented(old.own, indent) + indent
        part.value = _shift(part.value, old.indent if "\n" in part.lead else "", _lead(lead, True).indent)
        part.lead, part.gap = lead, ""
        if index == 0 and parts and "\n" not in parts[0].lead:
            parts[0].lead = " "
        parts.insert(index, part)
        _punctuate(value, ends_with_comma)
        if len(parts) == 1 and value.opening == "{" and not value.close:
            part.lead = value.close = " "

    def fresh_lead(self, value: Value, index: int) -> str:
        parts = value.parts
        following = parts[index].lead if index < len(parts) else None
        if not parts:
            return f"{self.newline}{_close_indent(value)}{INDENT}" if "\n" in value.close else ""
        if following is not None and "\n" not in following:
            return following if index == 0 else " "
        if following is None and "\n" not in parts[-1].lead and (index > 1 or "\n" not in value.close):
            return " "
        near = next((part.lead for part in (*parts[index:], *reversed(parts)) if "\n" in part.lead), "")
        indent = near.rpartition("\n")[2] if near else _close_indent(value) + INDENT
        return self.newline + indent

    def remove_inside(self, value: Value, part: Part) -> None:
        parts = value.parts
        index = parts.index(part)
        ends_with_comma = parts[-1].comma
        del parts[index]
        lead = _lead(part.lead, in_brackets=True)
        following = parts[index].lead if index < len(parts) else value.close
        rest = lead.free + self.of_the_team(part)
        if index == 0 and index < len(parts) and "\n" not in following:
            following = f"{lead.before}{rest}{lead.indent}"
        elif "\n" in following and (rest or "\n" in part.lead):
            following = (lead.before or self.newline) + rest + following.partition("\n")[2]
        elif "\n" in part.lead and index < len(parts):
            following = f"{lead.before}{rest}{lead.indent}"
        elif index == 0 and index < len(parts) and "#" not in following:
            following = part.lead
        if index < len(parts):
            parts[index].lead = following
        else:
            value.close = following
        if parts:
            _punctuate(value, ends_with_comma)
        elif "#" not in value.close:
            value.close = ""


def _fitting(sources: list[Spot], wanted: Data) -> Spot | None:
    """The first source that says `wanted`, or else that can be changed to say it."""
    return next((one for one in sources if same(one.data, wanted)), None) or next(
        (one for one in sources if one.can_become(wanted)), None
    )


def _below(sources: list[Spot], key: str) -> list[Spot]:
    return [one.below(key, one.data[key]) for one in sources if key in one.data]


def _places(ours: list[str], names: list[str]) -> Iterator[tuple[str, tuple[str, int] | None]]:
    """For each new name the one that it stands behind (1) or before (0)."""
    known = set(ours)
    for number, name in enumerate(names):
        if name in known:
            continue
        following = next((one for one in names[number:] if one in known), None)
        if number:
            yield name, (names[number - 1], 1)
        else:
            yield name, (following, 0) if following is not None else None
        known.add(name)


def _place(home: list[Part], inner: list[Found], key: str, order: list[str]) -> tuple[int, bool]:
    """Where `key` goes among the pairs of a table, and whether for the sake of the one behind it.

    `inner` are those that are in the same table as it.
    """
    places: dict[str, list[int]] = {}
    for one in inner:
        if one.home is home and isinstance(one.thing, Part) and one.keys:
            places.setdefault(one.keys[0], []).append(home.index(one.thing))
    if key in places:
        return max(places[key]) + 1, False
    place = order.index(key) if key in order else len(order)
    for before in reversed(order[:place]):
        if before in places:
            return max(places[before]) + 1, False
    for after in order[place + 1 :]:
        if after in places:
            return min(places[after]), True
    return max((max(numbers) for numbers in places.values()), default=len(home) - 1) + 1, False


def _punctuate(value: Value, ends_with_comma: str) -> None:
    for part in value.parts[:-1]:
        part.comma = ","
    value.parts[-1].comma = ends_with_comma


def _reorder(value: Value, order: list[Part]) -> None:
    first, ends_with_comma = value.parts[0], value.parts[-1].comma
    if order[0] is not first and "\n" not in first.lead:
        first.lead, order[0].lead = order[0].lead, first.lead
    value.parts[:] = order
    _punctuate(value, ends_with_comma)


def _close_indent(value: Value) -> str:
    return value.close.rpartition("\n")[2]


def _comments(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.lstrip().startswith("#")]


def _comments_of(thing: Table | Part) -> list[str]:
    """The comment lines above and in `thing`."""
    return [line for lead in (_lead(thing.lead).own, *_leads(thing)) for line in _comments(lead)]


def _only_of_the_first(sources: Sequence[str]) -> set[str]:
    first, *others = map(_comments, sources)
    known = {line for lines in others[:1] for line in lines}
    return {line for line, count in Counter(first).items() if count == 1 and line not in known}


def _things(things: Sequence[Table | Part]) -> Iterator[Table | Part]:
    for thing in things:
        yield thing
        yield from _things(thing.parts if isinstance(thing, Table) else thing.value.parts)


def _leads(thing: Table | Part) -> Iterator[str]:
    """What stands above the parts in `thing`."""
    for part in thing.parts if isinstance(thing, Table) else thing.value.parts:
        yield part.lead
        yield from _leads(part)
    if isinstance(thing, Part):
        yield thing.value.close


def _attached(lead: str, at_end: bool = False) -> str:
    """The comment lines at the start of `lead` that belong to what stands above: a blank line sets them apart."""
    lines = lead.split("\n")
    blank = next((number for number, line in enumerate(lines[:-1]) if not line.strip()), None)
    if blank is None:
        return lead if at_end else ""
    return "".join(f"{line}\n" for line in lines[:blank])


def _without_blank_start(lead: str) -> str:
    while _starts_blank(lead):
        lead = lead.partition("\n")[2]
    return lead
