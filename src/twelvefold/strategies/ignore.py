"""Ignore files: .gitignore, .dockerignore. The last pattern that fits a path decides, so order is meaning.

The template's patterns come in at their place and go from it; the team's lines keep their order, and none of the
template's new patterns stands where it would undo one of the team's. https://git-scm.com/docs/gitignore
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from twelvefold.decisions import Decision, Outcome
from twelvefold.strategies.lines import bare, joined, newline_of
from twelvefold.strategies.rules import Rules
from twelvefold.strategies.text import Hunk, MergedText, hunks, merged_end

TRAILING = re.compile(r"(?<!\\)[ \t]+$")
TOKEN = re.compile(r"\\.|\[!?\]?[^\]]*\]|.", re.DOTALL)
ANY = "?"
STAR = "*"


class Line(NamedTuple):
    """A line of the result, and whether only the template wrote it, only the team, or both."""

    text: str
    key: str
    whose: str  # "template", "team" or "both"

    @property
    def is_blank(self) -> bool:
        return not self.key

    @property
    def is_pattern(self) -> bool:
        return bool(self.key) and not self.key.startswith("#")


class Ignore:
    """Merges ignore files."""

    def merge(self, base: str | None, template: str, service: str, rules: Rules) -> MergedText:
        """Merge three texts; without a base, what the service has not is new. Any text can be read."""
        found = list(hunks(base or "", template, service, key_of))
        lines: list[Line] = []
        for number, hunk in enumerate(found):
            below = next((after.keys[2][0] for after in found[number + 1 :] if after.keys[2]), "")
            lines += _merged(hunk, (lines[-1].key if lines else "", below))
        was, theirs, ours = (Counter(key for hunk in found for key in hunk.keys[side]) for side in range(3))
        lines = _without_doubles(lines, {key for key in ours if key not in was})
        lines = _without_dropped(lines, {key: ours[key] - was[key] for key in was if key not in theirs})
        lines, decisions = _ordered(lines)
        end = merged_end(template if base is None else base, template, service)
        return MergedText(joined((line.text for line in lines), newline_of(service or template), end), decisions)


FORMAT = Ignore()


def key_of(line: str) -> str:
    """What git reads: the line without its end and without trailing blanks, escaped ones excepted."""
    return TRAILING.sub("", bare(line))


def _merged(hunk: Hunk, around: tuple[str, str]) -> list[Line]:
    base, template, service = hunk.keys
    if hunk.is_service_s:
        return _marked(hunk.lines[2], service, template if template == service else base, "team")
    if hunk.is_template_s:
        return _marked([bare(line) for line in hunk.lines[1]], template, base, "template")
    return _both(hunk, around)


def _marked(lines: Sequence[str], keys: Sequence[str], known: Sequence[str], whose: str) -> list[Line]:
    common = _common(known, keys)
    return [
        Line(line, key, "both" if number in common else whose)
        for number, (line, key) in enumerate(zip(lines, keys, strict=True))
    ]


def _common(one: Sequence[str], other: Sequence[str]) -> set[int]:
    """The places in `other` of what stands in `one`, too."""
    matching = SequenceMatcher(None, one, other, autojunk=False)
    return {place for block in matching.get_matching_blocks() for place in range(block.b, block.b + block.size)}


def _both(hunk: Hunk, around: tuple[str, str]) -> list[Line]:
    """What the service has less what the template dropped, with the template's new ones behind their neighbours.

    `around` are the lines above and below the hunk, empty where there is none.
    """
    base, template, service = hunk.keys
    from_base = _common(base, service)
    dropped = set(base) - set(template) - {""}
    result = [
        line
        for number, line in enumerate(_marked(hunk.lines[2], service, base, "team"))
        if not (number in from_base and line.key in dropped)
    ]
    place = 0
    for known, block in _blocks(hunk, {line.key for line in result if not line.is_blank}):
        if known:
            place = _behind(result, block, place)
        else:
            new = _apart(_headed(block), _beside(result, place, around))
            result[place:place] = new
            place += len(new)
    return result


def _blocks(hunk: Hunk, there: set[str]) -> Iterator[tuple[bool, list[Line]]]:
    """The template's lines in turns: some that the service has, some that are new. What the team deleted is none."""
    base, template, _ = hunk.keys
    from_base = _common(base, template)
    lines = [
        Line(bare(line), key, "template")
        for number, (line, key) in enumerate(zip(hunk.lines[1], template, strict=True))
        if key in there or (number not in from_base and (not key or key not in base))
    ]
    for known, block in groupby(lines, lambda line: line.key in there):
        yield known, list(block)


def _behind(result: Sequence[Line], block: Sequence[Line], place: int) -> int:
    keys = {line.key for line in block}
    return max(
        (number + 1 for number, line in enumerate(result) if line.key in keys and number >= place), default=place
    )


def _headed(block: list[Line]) -> list[Line]:
    """`block` without comments and blank lines at its end, which are the head of something that is there already."""
    last = max((number for number, line in enumerate(block) if line.is_pattern), default=-1)
    return block[: last + 1]


def _beside(lines: Sequence[Line], place: int, around: tuple[str, str]) -> tuple[str, str]:
    """The lines above and below `place`."""
    above = lines[place - 1].key if place else around[0]
    return above, lines[place].key if place < len(lines) else around[1]


def _apart(block: list[Line], beside: tuple[str, str]) -> list[Line]:
    """`block` with one blank line around it where it has a head of its own."""
    while block and block[0].is_blank:
        block = block[1:]
    if not block or block[0].is_pattern:
        return block
    above, below = ([Line("", "", "template")] if key else [] for key in beside)
    return [*above, *block, *below]


def _without_doubles(lines: list[Line], team_s: set[str]) -> list[Line]:
    """`lines` without the template's new patterns that the team has already."""
    result: list[Line] = []
    for whose, each in groupby(lines, lambda line: line.whose):
        group = list(each)
        if whose == "template" and any(line.key in team_s for line in group if line.is_pattern):
            group = _headed([line for line in group if not (line.is_pattern and line.key in team_s)])
        result += group
    return result


def _without_dropped(lines: list[Line], own: dict[str, int]) -> list[Line]:
    """`lines` without the patterns that the template dropped, but with the team's `own` copies of them."""
    surplus = Counter(line.key for line in lines if line.is_pattern and line.key in own)
    surplus.subtract({key: max(count, 0) for key, count in own.items()})
    result = []
    for line in lines:
        if line.is_pattern and surplus[line.key] > 0:
            surplus[line.key] -= 1
        else:
            result.append(line)
    return result


def _ordered(lines: list[Line]) -> tuple[list[Line], list[Decision]]:
    """`lines` with each block of the template's before what it would undo of the team's, if it can stand there."""
    decisions = []
    start = 0
    while start < len(lines):
        stop = start + 1
        if lines[start].whose == "template":
            while stop < len(lines) and lines[stop].whose == "template":
                stop += 1
            undone = [place for place in range(start) if _undoes(lines[start:stop], lines[place], "team")]
            if undone and not _held(lines, undone[0], start, stop):
                lines = _moved(lines, undone[0], start, stop)
            elif undone:
                decisions += [_said(lines[start:stop], lines[place]) for place in undone]
        start = stop
    return lines, decisions


def _undoes(block: Sequence[Line], line: Line, whose: str) -> Line | None:
    """The first of `block` that would undo `line`, if that is so and the line is theirs."""
    if line.is_pattern and line.whose == whose:
        return next((one for one in block if one.is_pattern and contradict(one.key, line.key)), None)
    return None


def _held(lines: Sequence[Line], goal: int, start: int, stop: int) -> bool:
    """Whether something of the template's must stay before the block that is to go from `start` to `goal`."""
    block = lines[start:stop]
    return any(_undoes(block, line, "both") or _undoes(block, line, "template") for line in lines[goal:start])


def _moved(lines: list[Line], goal: int, start: int, stop: int) -> list[Line]:
    while goal and lines[goal - 1].whose == "team" and lines[goal - 1].key.startswith("#"):
        goal -= 1
    block = lines[start:stop]
    while block and block[0].is_blank:
        block = block[1:]
    while block and block[-1].is_blank:
        block = block[:-1]
    block = _apart(block, _beside(lines, goal, ("", "")))
    if lines[goal].key.startswith("#") and block and block[-1].is_pattern:
        block = [*block, Line("", "", "template")]
    return [*lines[:goal], *block, *lines[goal:start], *lines[stop:]]


def _said(block: Sequence[Line], line: Line) -> Decision:
    undoing = _undoes(block, line, "team")
    theirs = undoing.key if undoing else ""
    return Decision(Outcome.HEALED, key=theirs, yours=line.key, template=theirs)


def contradict(one: str, other: str) -> bool:
    """Whether one of two patterns ignores what the other one does not; the later of the two then decides."""
    if one.startswith("!") == other.startswith("!"):
        return False
    positive, negation = sorted((one, other), key=lambda pattern: pattern.startswith("!"))
    ignored, kept = _segments(positive), _segments(negation[1:])
    if not positive.strip("/") or not negation.strip("!/"):  # git reads no pattern there
        return False
    anywhere = ("**",)
    named = kept if "/" in negation[1:].rstrip("/") else kept[1:]  # a name alone is meant, not one in an ignored folder
    return (
        _meet(ignored, kept)
        or _meet((*ignored, anywhere), named)
        or ("/" in positive.rstrip("/") and _meet(ignored, (*kept, anywhere)))
    )


@lru_cache(maxsize=1024)
def _segments(pattern: str) -> tuple[tuple[str, ...], ...]:
    """A pattern as what fits each segment of a path: single characters, ANY, STAR; ("**",) fits any number of them."""
    path = pattern.rstrip("/")
    found = tuple(("**",) if part == "**" else _tokens(part) for part in path.split("/") if part)
    return found if "/" in path else (("**",), *found)


def _tokens(part: str) -> tuple[str, ...]:
    return tuple(
        ANY if token[0] == "[" and len(token) > 1 else token[-1] if token[0] == "\\" else token
        for token in TOKEN.findall(re.sub(r"\*+", STAR, part))
    )


@lru_cache(maxsize=4096)
def _meet(one: tuple[tuple[str, ...], ...], other: tuple[tuple[str, ...], ...]) -> bool:
    """Whether there is a path that fits both."""
    if one and one[0] == ("**",):
        return _meet(one[1:], other) or (bool(other) and _meet(one, other[1:]))
    if other and other[0] == ("**",):
        return _meet(other, one)
    if not one or not other:
        return not one and not other
    return _meet_in(one[0], other[0]) and _meet(one[1:], other[1:])


@lru_cache(maxsize=4096)
def _meet_in(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether there is a name that fits both."""
    if one and one[0] == STAR:
        return _meet_in(one[1:], other) or (bool(other) and _meet_in(one, other[1:]))
    if other and other[0] == STAR:
        return _meet_in(other, one)
    if not one or not other:
        return not one and not other
    return (one[0] == other[0] or ANY in (one[0], other[0])) and _meet_in(one[1:], other[1:])
