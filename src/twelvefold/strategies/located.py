"""Splicing into a text whose parts are located: what YAML and JSON have in common.

One difference is spliced in at a time and the text is read again, so that no position is ever out of date.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from twelvefold.strategies.lines import neighbour, with_ends
from twelvefold.strategies.merging import UnreadableError
from twelvefold.strategies.rules import Kind, Path, Rules
from twelvefold.strategies.three_way import Data, identities, same

COMMA = re.compile(r"(?:\s|#[^\n]*)*,")
ENDS_LINE = re.compile(r"[ \t]*,?[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands; `flow` unless it is laid out by indentation."""

    start: int
    end: int
    data: Data
    entries: tuple[Entry, ...] = ()
    flow: bool = True


@dataclass(frozen=True, slots=True)
class Entry:
    """A value in a mapping or list. It starts at its key or dash; `mark` is behind the colon or the dash."""

    start: int
    mark: int
    key: str
    value: Node


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a text: the entry of `parent` at `index`. The parent of a root is imagined."""

    text: str
    parent: Node
    index: int = 0
    is_root: bool = False

    @classmethod
    def root(cls, text: str, node: Node) -> Spot:
        """The spot of a whole text."""
        entry = Entry(node.start, node.start, "", node)
        return cls(text, Node(node.start, node.end, [node.data], (entry,)), is_root=True)

    @property
    def entry(self) -> Entry:
        """The entry."""
        return self.parent.entries[self.index]

    @property
    def node(self) -> Node:
        """Its value."""
        return self.entry.value

    @property
    def raw(self) -> str:
        """Its value as written."""
        return self.text[self.node.start : self.node.end]

    def child(self, index: int) -> Spot:
        """The spot of the entry at `index`."""
        return Spot(self.text, self.node, index)


class Syntax(Protocol):
    """How a format writes entries. All texts returned are whole texts."""

    def parse(self, text: str) -> Node:
        """Locate the parts of `text`. Raises UnreadableError."""

    def written(self, data: Data) -> str:
        """Write `data` in the plainest form, between brackets."""

    def inserted(self, text: str, parent: Node, index: int, new: Spot) -> str:
        """Put `new` into `parent`, before the entry at `index`."""

    def removed(self, text: str, parent: Node, index: int, template: str) -> str:
        """Take the entry at `index` out of `parent`, with its comments unless `template` has them."""

    def replaced(self, old: Spot, new: Spot) -> str:
        """Put the value of `new` where that of `old` stands."""


def conform(syntax: Syntax, text: str, wanted: Data, sources: Sequence[str], rules: Rules) -> str:
    """Return `text` changed to say `wanted`; see `merging.Format.conform`. Raises UnreadableError."""
    walk = _Walk(syntax, rules, sources[0] if sources else "")
    spots = [Spot.root(source, syntax.parse(source)) for source in sources]
    seen = {text}
    while True:
        changed = walk.value((), Spot.root(text, syntax.parse(text)), wanted, spots)
        if changed is None:
            return text
        if changed in seen:
            raise UnreadableError("The change cannot be put in.")
        seen.add(changed)
        text = changed


@dataclass(frozen=True, slots=True)
class _Level:
    """The children of one spot and of its peers in the sources, by name."""

    spot: Spot
    names: list[str]
    wanted: Mapping[str, Data]
    peers: list[tuple[Spot, list[str]]]

    def found(self, name: str) -> list[Spot]:
        return [peer.child(names.index(name)) for peer, names in self.peers if name in names]


class _Walk:
    def __init__(self, syntax: Syntax, rules: Rules, template: str) -> None:
        self.syntax, self.rules, self.template = syntax, rules, template

    def value(self, path: Path, spot: Spot, wanted: Data, peers: list[Spot]) -> str | None:
        """The text with the first difference spliced in; None if there is none."""
        if same(spot.node.data, wanted):
            return None
        level = self.level(path, spot, wanted, peers)
        if level is None:
            return self.syntax.replaced(spot, _chosen(wanted, peers) or self.own(spot, wanted, spot.entry.key))
        return self.children(path, level)

    def level(self, path: Path, spot: Spot, wanted: Data, peers: list[Spot]) -> _Level | None:
        data = spot.node.data
        open_root = spot.is_root and not spot.node.flow
        if type(data) is not type(wanted) or not (open_root or (spot.node.entries and wanted)):
            return None
        peers = [peer for peer in peers if type(peer.node.data) is type(data) and peer.node.entries]
        if isinstance(data, dict):
            return _Level(spot, _keys(spot), wanted, [(peer, _keys(peer)) for peer in peers])
        if not isinstance(data, list) or not wanted:
            return None
        rule = self.rules.at(path)
        by = rule.by if rule.kind is Kind.MEMBERS else ("value",)
        ours, members, *others = identities(by, data, wanted, *(peer.node.data for peer in peers))
        return _Level(spot, list(ours), members, list(zip(peers, map(list, others), strict=True)))

    def children(self, path: Path, level: _Level) -> str | None:
        for index, name in enumerate(level.names):
            if name in level.wanted:
                inner = self.value((*path, name), level.spot.child(index), level.wanted[name], level.found(name))
                if inner is not None:
                    return inner
        steps = (step(level) for step in (self.added, self.dropped, self.sorted))
        return next((changed for changed in steps if changed is not None), None)

    def added(self, level: _Level) -> str | None:
        name = next((name for name in level.wanted if name not in level.names), None)
        if name is None:
            return None
        spot, wanted = level.spot, level.wanted[name]
        new = _chosen(wanted, level.found(name))
        order = list(level.wanted)
        if isinstance(spot.node.data, dict):
            order = next((names for peer, names in level.peers if new and peer.node is new.parent), order)
        if new is None:
            new = self.own(Spot(spot.text, spot.node), wanted, name)
        return self.syntax.inserted(spot.text, spot.node, _place(level.names, name, order), new)

    def dropped(self, level: _Level) -> str | None:
        for index, name in reversed(list(enumerate(level.names))):
            if name not in level.wanted:
                return self.syntax.removed(level.spot.text, level.spot.node, index, self.template)
        return None

    def sorted(self, level: _Level) -> str | None:
        if isinstance(level.spot.node.data, dict):
            return None
        for index, name in enumerate(level.wanted):
            if level.names[index] != name:
                moved = level.spot.child(level.names.index(name))
                without = self.syntax.removed(moved.text, level.spot.node, moved.index, "")
                return self.syntax.inserted(without, level.spot.node, index, moved)
        return None

    def own(self, spot: Spot, wanted: Data, name: str) -> Spot:
        """`wanted` as we would write it at `spot`, where no source says it."""
        if spot.is_root:
            text = self.syntax.written(wanted)
            return Spot.root(text, self.syntax.parse(text))
        text = self.syntax.written([wanted] if isinstance(spot.parent.data, list) else {name: wanted})
        return Spot(text, self.syntax.parse(text))


def _keys(spot: Spot) -> list[str]:
    return [entry.key for entry in spot.node.entries]


def _chosen(wanted: Data, found: list[Spot]) -> Spot | None:
    exact = [spot for spot in found if same(spot.node.data, wanted)]
    alike = [spot for spot in found if wanted and isinstance(wanted, dict | list) and _alike(spot.node, wanted)]
    return next(iter(exact + alike), None)


def _alike(node: Node, wanted: Data) -> bool:
    return type(node.data) is type(wanted) and bool(node.entries)


def _place(names: list[str], name: str, order: list[str]) -> int:
    beside = neighbour(name, order, names) if name in order else None
    if beside is None:
        return len(names)
    there, is_behind = beside
    return names.index(there) + is_behind


def line_start(text: str, position: int) -> int:
    """Where the line of `position` begins."""
    return text.rfind("\n", 0, position) + 1


def line_end(text: str, position: int) -> int:
    """Where the line behind that of `position` begins."""
    end = text.find("\n", position)
    return len(text) if end < 0 else end + 1


def begins_line(text: str, position: int) -> bool:
    """Whether only space stands before `position` in its line."""
    return not text[line_start(text, position) : position].strip()


def newline(text: str) -> str:
    """How the lines of `text` end."""
    return "\r\n" if "\r\n" in text else "\n"


def shifted(text: str, columns: int) -> str:
    """`text` with all lines but the first indented by `columns` more, or less."""
    first, *lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join([first, *(_shifted_line(line, columns) for line in lines)])


def _shifted_line(line: str, columns: int) -> str:
    if not line.strip():
        return line
    if columns >= 0:
        return " " * columns + line
    return line[min(-columns, len(line) - len(line.lstrip(" "))) :]


def indentation(text: str, position: int) -> int:
    """The number of spaces that the line of `position` begins with."""
    start = line_start(text, position)
    return len(text[start:]) - len(text[start:].lstrip(" "))


def flow_inserted(text: str, parent: Node, index: int, raw: str) -> str:
    """Put `raw` between the brackets of `parent`, on a line of its own where the neighbour has one."""
    beside = parent.entries[max(index - 1, 0)]
    start, end = beside.start, beside.value.end
    ending = newline(text)
    raw = with_ends(raw, ending)
    if not _alone(text, beside):
        gap = _gap(text, parent)
        return text[:end] + gap + raw + text[end:] if index else text[:start] + raw + gap + text[start:]
    at = line_start(text, start)
    indent = text[at:start]
    if not index:
        return f"{text[:at]}{indent}{raw},{ending}{text[at:]}"
    comma = COMMA.match(text, end)
    at = line_end(text, comma.end() if comma else end)
    if comma:
        return f"{text[:at]}{indent}{raw},{ending}{text[at:]}"
    return f"{text[:end]},{text[end:at]}{indent}{raw}{ending}{text[at:]}"


def flow_removed(text: str, parent: Node, index: int) -> str:
    """Take the entry at `index` out from between the brackets of `parent`, and one comma with it."""
    entry = parent.entries[index]
    end = entry.value.end
    comma = COMMA.match(text, end)
    if _alone(text, entry):
        start, end = line_start(text, entry.start), line_end(text, comma.end() if comma else end)
        before = text[:start]
        if index and not comma:
            last = parent.entries[index - 1].value.end
            before = before[:last] + before[last:].replace(",", "", 1)
        return before + text[end:]
    if not index:
        return text[: entry.start] + text[parent.entries[1].start if len(parent.entries) > 1 else end :]
    start = parent.entries[index - 1].value.end
    if "#" in text[start : entry.start]:
        start, end = entry.start, comma.end() if comma else end
    return text[:start] + text[end:]


def _alone(text: str, entry: Entry) -> bool:
    return begins_line(text, entry.start) and ENDS_LINE.match(text, entry.value.end) is not None


def _gap(text: str, parent: Node) -> str:
    if len(parent.entries) < 2:
        entry = parent.entries[0]
        return "," if entry.key and text[entry.value.start - 1] == ":" else ", "
    gap = text[parent.entries[0].value.end : parent.entries[1].start]
    return gap if re.fullmatch(r" *, *", gap) else ", "
