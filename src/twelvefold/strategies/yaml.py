"""YAML: read as it is written, not as what it constructs, and changed where it stands.

Scalars say what they say under YAML 1.1 and 1.2 alike: text is text however it is quoted; a number, a truth value, an
alias or anything with a tag is what was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from twelvefold.safe_yaml import LOADER
from twelvefold.strategies import located
from twelvefold.strategies.lines import bare, with_ends
from twelvefold.strategies.located import Entry, Node, Spot, begins_line, indentation, line_end, line_start, shifted
from twelvefold.strategies.merging import UnreadableError
from twelvefold.strategies.rules import Rules
from twelvefold.strategies.three_way import Data, same

DOCUMENT = "--- "  # what begins the name of one of several documents
CORE = "tag:yaml.org,2002:"
RESOLVER: Any = yaml.resolver.Resolver()
COLON = re.compile(r"\s*:")
DASH = re.compile(r"-(?=\s|\Z)")
COMMENT_LINE = re.compile(r"[ \t]*#")
COMMENT_BELOW = re.compile(r"(?:[ \t]*\r?\n)*( *)#[^\n]*(?:\n|\Z)")
TRAILING = re.compile(r"[ \t]+#[^\r\n]*")
BLANKS = re.compile(r"(?:[ \t]*\r?\n)*")
WORD = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@-]*")
BETWEEN_BRACKETS = re.compile(r"""["'\[{*]|[^,\[\]{}]*\Z""")


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar that is not plain text: its tag, and its value as written."""

    tag: str
    value: str

    def __str__(self) -> str:
        return f"{self.tag.replace(CORE, '!!')} {self.value}"


@dataclass(frozen=True, slots=True)
class Alias:
    """`*name`."""

    name: str

    def __str__(self) -> str:
        return f"*{self.name}"


class YamlFormat:
    """YAML, as `merging.Format` wants it."""

    def load(self, text: str) -> Data:
        """Return what `text` says; an empty text is an empty mapping, several documents are one of `--- 1`, `--- 2` ...

        Raises UnreadableError.
        """
        reading = _read(text)
        reading.check_aliases()
        return reading.data

    def conform(self, text: str, wanted: Data, sources: Sequence[str], rules: Rules) -> str:
        """Return `text` changed to say `wanted`. Raises UnreadableError if it cannot be."""
        if same(self.load(text), wanted):
            return text
        result = located.conform(Yaml(), text, wanted, sources, rules)
        reading = _read(result)
        reading.check_aliases()
        if len(set(reading.anchors)) < len(reading.anchors):
            raise UnreadableError("An anchor would be there twice.")
        return result


FORMAT = YamlFormat()


class Yaml:
    """How YAML writes entries, as `located.Syntax` wants it."""

    def parse(self, text: str) -> Node:
        """Locate the parts of `text`."""
        reading = _read(text)
        documents = reading.documents
        if len(documents) > 1:
            entries = [Entry(one.start, one.start, key, one) for key, one in zip(reading.data, documents, strict=True)]
            return Node(0, len(text), reading.data, tuple(entries), flow=False)
        if not documents or documents[0].data is None:
            return Node(len(text), len(text), {}, flow=False)
        return documents[0]

    def written(self, data: Data) -> str:
        """Write `data` between brackets."""
        return _written(data)

    def inserted(self, text: str, parent: Node, index: int, new: Spot) -> str:
        """Put `new` into `parent`, before the entry at `index`."""
        _refuse_documents(parent, new.parent)
        if parent.flow:
            return located.flow_inserted(text, parent, index, _flow_entry(new, _column(text, parent)))
        return _block_inserted(text, parent, index, new)

    def removed(self, text: str, parent: Node, index: int, template: str) -> str:
        """Take the entry at `index` out of `parent`."""
        _refuse_documents(parent)
        if parent.flow:
            return located.flow_removed(text, parent, index)
        return _block_removed(text, parent, index, {line.strip() for line in template.splitlines()})

    def replaced(self, old: Spot, new: Spot) -> str:
        """Put the value of `new` where that of `old` stands."""
        _refuse_documents(old.parent, new.node)
        text, node = old.text, old.node
        if old.is_root:
            return text[: node.start] + _ended(new.raw, text) + text[node.end :]
        if old.parent.flow:
            return text[: node.start] + _lead(old) + _flow_value(new, _column(text, old.parent)) + text[node.end :]
        return _block_replaced(old, new)


# Reading


class _Reading:
    """One pass over the events of a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.anchors: list[str] = []
        self.lost: list[str] = []
        self.documents: list[Node] = []
        self.events: Iterator[Any] = yaml.parse(text, Loader=LOADER)
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                self.documents.append(self.node(next(self.events)))

    @property
    def data(self) -> Data:
        if len(self.documents) > 1:
            return {f"{DOCUMENT}{number}": document.data for number, document in enumerate(self.documents, 1)}
        data = self.documents[0].data if self.documents else None
        return {} if data is None else data

    def check_aliases(self) -> None:
        if self.lost:
            raise UnreadableError(f"The anchor &{self.lost[0]} is missing.")

    def node(self, event: Any) -> Node:
        start, end, anchor = event.start_mark.index, event.end_mark.index, event.anchor
        if isinstance(event, yaml.AliasEvent):
            if anchor not in self.anchors:
                self.lost.append(anchor)
            return Node(start, end, Alias(anchor))
        if anchor is not None:
            self.anchors.append(anchor)
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event)
        collection = self.mapping(event) if isinstance(event, yaml.MappingStartEvent) else self.sequence(event)
        if event.tag in {None, "!", f"{CORE}map", f"{CORE}seq"}:
            return collection
        return Node(
            collection.start, collection.end, Scalar(event.tag, _written(collection.data)), (), event.flow_style
        )

    def scalar(self, event: Any) -> Node:
        start, end = event.start_mark.index, event.end_mark.index
        block = event.style in {"|", ">"}
        if block:
            header, _, _ = self.text[start:end].partition("\n")
            keeps = "+" in header.partition("#")[0]
            end = end - 1 if keeps and self.text[end - 1] == "\n" else start + len(self.text[start:end].rstrip())
        return Node(start, end, _scalar(event), flow=not block)

    def sequence(self, event: Any) -> Node:
        entries: list[Entry] = []
        start = event.start_mark.index
        dash = DASH.search(self.text, start) if not event.flow_style else None
        column = dash.start() - line_start(self.text, dash.start()) if dash else 0
        following = re.compile(rf"^ {{{column}}}-(?=\s|\Z)", re.MULTILINE)
        for inner in self.events:
            if isinstance(inner, yaml.SequenceEndEvent):
                break
            value = self.node(inner)
            if event.flow_style:
                entries.append(Entry(value.start, value.start, "", value))
                continue
            found = following.search(self.text, entries[-1].value.end) if entries else dash
            if found is None:
                raise UnreadableError(_at(event, "a list that cannot be located"))
            entries.append(Entry(found.end() - 1, found.end(), "", value))
        return self.collection(event, inner, entries, [entry.value.data for entry in entries])

    def mapping(self, event: Any) -> Node:
        entries: list[Entry] = []
        data: dict[str, Data] = {}
        for inner in self.events:
            if isinstance(inner, yaml.MappingEndEvent):
                break
            key = self.node(inner)
            if not isinstance(inner, yaml.ScalarEvent):
                raise UnreadableError(_at(inner, "a key that is not text"))
            if inner.value in data:
                raise UnreadableError(_at(inner, f"the key {inner.value} again"))
            value = self.node(next(self.events))
            colon = COLON.match(self.text, key.end)
            entries.append(Entry(key.start, colon.end() if colon else key.end, inner.value, value))
            data[inner.value] = value.data
        return self.collection(event, inner, entries, data)

    def collection(self, start: Any, end: Any, entries: list[Entry], data: Data) -> Node:
        last = end.end_mark.index if start.flow_style else entries[-1].value.end
        return Node(start.start_mark.index, last, data, tuple(entries), start.flow_style)


def _read(text: str) -> _Reading:
    try:  # a last line that does not end would cut a block scalar's last newline off
        return _Reading(text if text.endswith("\n") else f"{text}\n")
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise UnreadableError(f"It is not YAML: {line}{error.problem}.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise UnreadableError(f"It is not YAML: {' '.join(str(error).split())}.") from error


def _at(event: Any, what: str) -> str:
    return f"It has {what} in line {event.start_mark.line + 1}."


def _scalar(event: Any) -> Data:
    value = event.value
    if event.tag not in {None, "!"}:
        if event.tag == f"{CORE}str":
            return value
        return Scalar(event.tag, json.dumps(value, ensure_ascii=False))
    if event.tag == "!" or not event.implicit[0]:
        return value
    tag = _resolved(value)
    return value if tag == f"{CORE}str" else _plain(tag, value)


def _resolved(value: str) -> str:
    return str(RESOLVER.resolve(yaml.ScalarNode, value, (True, False)))


def _plain(tag: str, value: str) -> Data:
    """What Python writes alike is Python's, for reports to show it as it is."""
    if tag == f"{CORE}null":
        return None
    if value in {"true", "false"}:
        return value == "true"
    if tag == f"{CORE}int" and re.fullmatch(r"0|-?[1-9]\d{0,17}", value):
        return int(value)
    if tag == f"{CORE}float" and re.fullmatch(r"-?\d+\.\d+", value) and repr(float(value)) == value:
        return float(value)
    return Scalar(tag, value)


# Writing


def _refuse_documents(*nodes: Node) -> None:
    if any(entry.key.startswith(DOCUMENT) for node in nodes for entry in node.entries[:1]):
        raise UnreadableError("A whole document would come or go.")


def _written(data: Data) -> str:
    if isinstance(data, dict):
        return "{" + ", ".join(f"{_written(key)}: {_written(value)}" for key, value in data.items()) + "}"
    if isinstance(data, list):
        return "[" + ", ".join(map(_written, data)) + "]"
    if isinstance(data, str):
        plain = WORD.fullmatch(data) and _resolved(data) == f"{CORE}str"
        return data if plain else json.dumps(data, ensure_ascii=False)
    if isinstance(data, Scalar):
        return data.value if _resolved(data.value) == data.tag else str(data)
    return str(data) if isinstance(data, Alias) else json.dumps(data)


def _ended(raw: str, text: str) -> str:
    return with_ends(raw, located.newline(text))


def _column(text: str, parent: Node) -> int:
    if parent.flow:
        return indentation(text, parent.start)
    if not parent.entries:
        return 0
    start = parent.entries[0].start
    return start - line_start(text, start)


def _lead(old: Spot) -> str:
    """What must stand before a value where there was none."""
    if old.node.start < old.node.end:
        return ""
    return " " if old.text[: old.entry.mark].endswith(":") else ": "


def _flow_value(new: Spot, column: int) -> str:
    raw = new.raw
    if new.parent.flow:
        return shifted(raw, column - _column(new.text, new.parent))
    if not new.node.flow or "\n" in raw or not BETWEEN_BRACKETS.match(raw):
        return _written(new.node.data)
    return raw


def _flow_entry(new: Spot, column: int) -> str:
    value = _flow_value(new, column)
    if isinstance(new.parent.data, list):
        return value
    return f"{_key(new)} {value}".rstrip()


def _key(new: Spot) -> str:
    key = new.text[new.entry.start : new.entry.mark].rstrip()
    return key if key.endswith(":") else f"{key}:"


# Entries laid out by indentation


def _below(text: str, entry: Entry) -> int:
    """Where the lines of `entry` end, with the comments that are indented under it."""
    column = entry.start - line_start(text, entry.start)
    end = line_end(text, entry.value.end)
    while (comment := COMMENT_BELOW.match(text, end)) and len(comment[1]) > column:
        end = comment.end()
    return end


def _above(text: str, parent: Node, index: int, kept: frozenset[str] | set[str] = frozenset()) -> int:
    """Where the lines of an entry begin, with the comments directly above it that are not among `kept`.

    Comments that the text begins with are the text's: callers that get 0 begin at the entry itself.
    """
    start = line_start(text, parent.entries[index].start)
    floor = _below(text, parent.entries[index - 1]) if index else 0
    while start > floor:
        line = line_start(text, start - 1)
        if not COMMENT_LINE.match(text, line) or text[line:start].strip() in kept:
            break
        start = line
    return start


def _blanks_above(text: str, start: int) -> int:
    while start and not text[line_start(text, start - 1) : start].strip():
        start = line_start(text, start - 1)
    return start


def _blanks_below(text: str, end: int) -> str:
    blanks = BLANKS.match(text, end)
    return blanks[0] if blanks else ""


def _block_inserted(text: str, parent: Node, index: int, new: Spot) -> str:
    column = _column(text, parent)
    chunk, above, below = _chunk(new, column)
    if not parent.entries:
        return _with_lines(text, len(text), chunk)
    if index:
        return _with_lines(text, _below(text, parent.entries[index - 1]), above + chunk)
    first = parent.entries[0].start
    if begins_line(text, first):
        return _with_lines(text, _above(text, parent, 0) or line_start(text, first), chunk + below)
    lines = chunk.split("\n")
    bare = "\n".join(lines[next(number for number, line in enumerate(lines) if not COMMENT_LINE.match(line)) :])
    return text[:first] + _ended(bare.lstrip() + " " * column, text) + text[first:]


def _with_lines(text: str, at: int, lines: str) -> str:
    lines = _ended(lines, text)
    if at and not text[:at].endswith("\n"):
        ending = located.newline(text)
        return text[:at] + ending + lines.removesuffix(ending) + text[at:]
    return text[:at] + lines + text[at:]


def _chunk(new: Spot, column: int) -> tuple[str, str, str]:
    """The lines of `new`, indented to `column`; the blank lines above and below that come with them."""
    parent, entry = new.parent, new.entry
    if parent.flow:
        mark = "-" if isinstance(parent.data, list) else _key(new)
        value = shifted(new.raw, column - indentation(new.text, entry.start))
        return " " * column + f"{mark} {value}".rstrip() + "\n", "", ""
    start, end = entry.start, _below(new.text, entry)
    was = _column(new.text, parent)
    lead = " " * was
    if begins_line(new.text, start):
        start, lead = _above(new.text, parent, new.index) or line_start(new.text, start), ""
    chunk = shifted(f"\n{lead}{new.text[start:end]}", column - was)[1:]
    above = new.text[_blanks_above(new.text, start) : start].count("\n") if new.index else 0
    below = _blanks_below(new.text, end).count("\n") if not new.index and len(parent.entries) > 1 else 0
    return chunk.removesuffix("\n") + "\n", "\n" * above, "\n" * below


def _block_removed(text: str, parent: Node, index: int, kept: set[str]) -> str:
    entry = parent.entries[index]
    end = _below(text, entry)
    if not begins_line(text, entry.start):
        following = parent.entries[index + 1].start
        if text[end:following].strip():
            return text[: entry.start].rstrip(" ") + located.newline(text) + text[end:]
        return text[: entry.start] + text[following:]
    start = _above(text, parent, index, kept) or line_start(text, entry.start)
    blank = _blanks_above(text, start)
    if index and blank == _below(text, parent.entries[index - 1]):
        start = blank
    elif blank < start or not index:
        end += len(_blanks_below(text, end))
    before = text[:start]
    if end == len(text) and not text.endswith("\n"):
        before = bare(before)
    return before + text[end:]


def _block_replaced(old: Spot, new: Spot) -> str:
    text, entry, node, raw = old.text, old.entry, old.node, new.raw
    if node.flow and new.node.flow and raw and node.start < node.end and "\n" not in raw + text[entry.mark : node.end]:
        return text[: node.start] + raw + text[node.end :]
    column = entry.start - line_start(text, entry.start)
    tail = _tail(new, column)
    later = not node.flow or "\n" in text[entry.mark : node.start]
    end = node.end
    if node.entries and not node.flow:
        end = len(text[: _below(text, entry)].rstrip("\r\n"))
    header = line_end(text, node.start) if not node.flow and not node.entries else 0
    comment = TRAILING.search(text, node.start, header) or TRAILING.match(text, entry.mark if later else node.end)
    trailing = comment[0] if comment else ""
    if comment and not later:
        end = comment.end()
    first, broken, rest = tail.partition("\n")
    opens = not new.node.flow or (broken and not first.strip())
    if opens and broken:
        trailing = "" if "#" in first else trailing
        return text[: entry.mark] + _ended(f"{first}{trailing}\n{rest}", text) + text[end:]
    return text[: entry.mark] + _ended(tail, text) + trailing + text[end:]


def _tail(new: Spot, column: int) -> str:
    """What stands behind the colon or dash of `new`, to follow one in `column`."""
    raw = new.raw
    if new.parent.flow:
        return " " + shifted(raw, column - indentation(new.text, new.node.start)) if raw else ""
    behind = new.text[new.entry.mark : new.node.end]
    return shifted(behind, column - _column(new.text, new.parent)) if raw else ""
