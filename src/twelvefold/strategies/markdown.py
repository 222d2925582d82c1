"""Markdown with managed blocks: what stands between `<!-- twelvefold:begin NAME -->` and
`<!-- twelvefold:end NAME -->` is the template's, and all else the team's.

The data are {name: text of the block}, each line with a line feed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from twelvefold.decisions import Decision, Outcome
from twelvefold.strategies.lines import Lines, bare, neighbour, split
from twelvefold.strategies.merging import Merged, UnreadableError, not_put_in, unreadable
from twelvefold.strategies.rules import Rules
from twelvefold.strategies.three_way import Data

MARKER = re.compile(r" {0,3}<!--\s*twelvefold:(?P<rest>.*)")
MARK = re.compile(r"(?P<which>begin|end)[ \t]+(?P<name>[A-Za-z0-9][\w.-]*)\s*-->\s*")
ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])(?: {1,4}(?=\S)|(?= {5}) |$)")
FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its markers are on the lines `start` and `stop - 1`."""

    name: str
    start: int
    stop: int
    text: str


class Markdown:
    """Reads, changes and merges managed blocks."""

    def load(self, text: str) -> Data:
        """Return the blocks' texts. Raises UnreadableError."""
        return {name: block.text for name, block in blocks(split(text)).items()}

    def conform(self, text: str, wanted: Data, sources: Sequence[str], rules: Rules) -> str:
        """Return `text` with exactly the blocks `wanted`; all else stays byte for byte. Raises UnreadableError."""
        lines = Lines(text)
        for name in self.load(text):
            block = blocks(lines.lines)[name]
            if name not in wanted:
                lines.delete(block.start, block.stop)
            elif block.text != wanted[name]:
                lines.replace(block.start + 1, block.stop - 1, split(wanted[name]))
        known = [list(self.load(source)) for source in sources]
        for name in dict.fromkeys([*(name for names in known for name in names if name in wanted), *wanted]):
            now = blocks(lines.lines)
            if name not in now:
                order = next((names for names in known if name in names), [name])
                _add(lines, now, name, wanted[name], order)
        return lines.text

    def merge(self, base: str | None, template: str, service: str, rules: Rules) -> Merged:
        """Merge the blocks; outside of them the service is right. Raises UnreadableError for the template's."""
        theirs = self.load(template)
        try:
            ours = self.load(service)
        except UnreadableError as error:
            return unreadable(service, error)
        wanted, decisions = _merged(self._base(base), theirs, ours)
        try:
            text = self.conform(service, wanted, (template, service), rules)
            return Merged(text, decisions) if self.load(text) == wanted else not_put_in(template, service)
        except UnreadableError:
            return not_put_in(template, service)

    def _base(self, base: str | None) -> dict[str, str]:
        try:
            return {} if base is None else self.load(base)
        except UnreadableError:  # somebody edited the memory: as if there were none
            return {}


FORMAT = Markdown()


def blocks(lines: Sequence[str]) -> dict[str, Block]:
    """The blocks of a text. Raises UnreadableError for markers that do not belong together."""
    found: dict[str, Block] = {}
    opened: tuple[str, int] | None = None
    for number, rest in _markers(lines):
        mark = MARK.fullmatch(rest)
        if mark is None:
            raise UnreadableError(
                f"line {number + 1}: a marker reads <!-- twelvefold:begin NAME --> or <!-- twelvefold:end NAME -->."
            )
        name = mark["name"]
        if mark["which"] == "begin":
            if opened or name in found:
                reason = f"{opened[0]} is still open" if opened else "there is a block of this name already"
                raise UnreadableError(f"line {number + 1}: {name} begins, but {reason}.")
            opened = name, number
        elif opened is None or opened[0] != name:
            raise UnreadableError(f"line {number + 1}: {name} ends, but it did not begin.")
        else:
            text = "".join(f"{bare(line)}\n" for line in lines[opened[1] + 1 : number])
            found[name] = Block(name, opened[1], number + 1, text)
            opened = None
    if opened:
        raise UnreadableError(f"line {opened[1] + 1}: {opened[0]} begins, but it does not end.")
    return found


def _markers(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The lines that are markers, with what they say; fenced code has none, and ends with the list item it is in."""
    items: list[int] = []  # the columns where the contents of the open list items begin
    fence = ""
    for number, line in enumerate(lines):
        content = bare(line).expandtabs(4)
        if not content.strip():
            continue
        indent = len(content) - len(content.lstrip())
        if fence and indent >= (items[-1] if items else 0):
            fence = "" if _closes(fence, content) else fence
            continue
        items = _items(content, [column for column in items if column <= indent])
        opening = FENCE.match(content, items[-1] if items else 0)
        fence = opening[1] if opening else ""
        marker = MARKER.match(content)
        if marker and not fence:
            yield number, marker["rest"].rstrip()


def _items(line: str, items: list[int]) -> list[int]:
    """`items` with those that begin on `line`."""
    while item := ITEM.match(line, items[-1] if items else 0):
        items = [*items, item.end()]
    return items


def _closes(fence: str, line: str) -> bool:
    content = line.strip()
    return len(content) >= len(fence) and not content.strip(fence[0])


def _merged(was: Data, theirs: Data, ours: Data) -> tuple[dict[str, str], list[Decision]]:
    wanted, decisions = {}, []
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        before, template, service = was.get(name), theirs.get(name), ours.get(name)
        text = template
        if service is None and before is not None:  # deleted
            text = None
            decisions.append(_decision(Outcome.KEPT, name, service, template))
        elif template is None and service != before:  # edited and dropped, or the team's own
            text = service
            decisions += [_decision(Outcome.KEPT, name, service, template)] if before is not None else []
        elif service is not None and service not in (before, template):
            decisions.append(_decision(Outcome.HEALED, name, service, template))
        if text is not None:
            wanted[name] = text
    return wanted, decisions


def _decision(outcome: Outcome, name: str, service: str | None, template: str | None) -> Decision:
    return Decision(outcome, key=name, yours=service, template=template)


def _add(lines: Lines, now: dict[str, Block], name: str, text: str, order: Sequence[str]) -> None:
    new = [f"<!-- twelvefold:begin {name} -->", *split(text), f"<!-- twelvefold:end {name} -->"]
    beside = neighbour(name, order, now)
    if beside is None:
        lines.append(new)
    elif beside[1]:
        lines.insert_behind(now[beside[0]].stop, new, 1)
    else:
        lines.insert_before(now[beside[0]].start, new, 1)
