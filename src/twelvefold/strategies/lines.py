"""Texts as lines: what the formats have in common that are read line by line.

A line ends at a line feed and nowhere else: form feeds and the separators of Unicode are part of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

Known = frozenset[str]  # comment lines that the template has or had, stripped


def split(text: str) -> list[str]:
    """The lines of `text`, with their ends."""
    return re.findall(r"[^\n]*\n|[^\n]+", text)


def bare(line: str) -> str:
    """`line` without its end."""
    return line.removesuffix("\n").removesuffix("\r")


def newline_of(text: str) -> str:
    """The line end that `text` has most."""
    return "\r\n" if 2 * text.count("\r\n") > text.count("\n") else "\n"


def ends(text: str) -> bool:
    """Whether the last line of `text`, if it has any, has its end."""
    return not text or text.endswith("\n")


def with_ends(text: str, newline: str) -> str:
    """`text` with all its line ends made `newline`."""
    return re.sub(r"\r?\n", newline, text)


def joined(lines: Iterable[str], newline: str, ended: bool) -> str:
    """The text of `lines`, bare or not; those without an end get `newline`, the last one as `ended` says."""
    text = "".join(line if line.endswith("\n") else line + newline for line in lines)
    return text if ended else text.removesuffix("\n").removesuffix("\r")


def neighbour(name: str, order: Sequence[str], present: Iterable[str]) -> tuple[str, bool] | None:
    """The one of `present` that stands before `name` in `order`, with True, or that stands behind it, with False."""
    there, place = set(present), order.index(name)
    before = next((one for one in reversed(order[:place]) if one in there), None)
    if before is not None:
        return before, True
    after = next((one for one in order[place + 1 :] if one in there), None)
    return None if after is None else (after, False)


def comments_of(texts: Iterable[str], is_comment: Callable[[str], bool]) -> Known:
    """The comment lines of `texts`, stripped."""
    return frozenset(line.strip() for text in texts for line in split(text) if is_comment(line))


def templates(sources: Sequence[str]) -> list[str]:
    """Of the sources of a merge (template, service, base) those that the template wrote."""
    return [text for number, text in enumerate(sources) if number != 1]


class Lines:
    """The lines of a text, to be changed in place. `insert_*` and `delete` keep paragraphs apart by blank lines, and
    a `delete` takes back what an insert brought.
    """

    def __init__(self, text: str) -> None:
        self.newline = newline_of(text)
        self._ended = ends(text)
        self.lines = [line if line.endswith("\n") else line + self.newline for line in split(text)]

    @property
    def text(self) -> str:
        """The text, which ends as it did before."""
        return joined(self.lines, self.newline, self._ended)

    def blanks(self, place: int, step: int) -> int:
        """How many blank lines there are from `place` on, or before it if `step` is -1."""
        index = place if step > 0 else place - 1
        count = 0
        while 0 <= index < len(self.lines) and not self.lines[index].strip():
            count, index = count + 1, index + step
        return count

    def insert_behind(self, place: int, block: Sequence[str], gap: int) -> None:
        """Put `block` before line `place`, where something ends; apart from it if `gap` lines are to be between."""
        run = self.blanks(place, 1)
        apart = (run or gap) if gap and (run or place == len(self.lines)) else 0
        self.replace(place, place, [*[""] * apart, *block])

    def insert_before(self, place: int, block: Sequence[str], gap: int) -> None:
        """Put `block` before line `place`, where something begins."""
        run = self.blanks(place, -1)
        apart = (run or gap) if gap and (run or place == 0) else 0
        self.replace(place, place, [*block, *[""] * apart])

    def append(self, block: Sequence[str]) -> None:
        """Put `block` behind all that is not blank."""
        last = len(self.lines) - self.blanks(len(self.lines), -1)
        self.insert_behind(last, block, 1 if last else 0)

    def delete(self, start: int, stop: int) -> None:
        """Take lines out, and the blank lines before them if others follow."""
        before, after = self.blanks(start, -1), self.blanks(stop, 1)
        first, last = start == before, stop + after == len(self.lines)
        if before and (after or last) and not (first and last):
            start -= before
        elif first and not before and not last:
            stop += after
        del self.lines[start:stop]

    def delete_except(self, start: int, stop: int, kept: Callable[[str], bool]) -> None:
        """Take lines out but for those that are `kept`."""
        rest = [line for line in self.lines[start:stop] if kept(line)]
        if rest:
            self.lines[start:stop] = rest
        else:
            self.delete(start, stop)

    def replace(self, start: int, stop: int, block: Iterable[str]) -> None:
        """Put `block` in the place of lines."""
        self.lines[start:stop] = [bare(line) + self.newline for line in block]
