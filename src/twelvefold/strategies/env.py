"""Environment files: .env.example and its kind.

The data are {name: value as it is written}. A setting that is commented out, `#PORT=8000`, is one too; its value
begins with the "#". (A value that really begins with one has a backslash before it in the data.)
https://saurabh-kumar.com/python-dotenv/reference/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from twelvefold.strategies.lines import Known, Lines, bare, comments_of, neighbour, split, templates
from twelvefold.strategies.merging import UnreadableError
from twelvefold.strategies.rules import Rules
from twelvefold.strategies.three_way import Data

ACTIVE = re.compile(r"[^\S\n]*(?:export[^\S\n]+)?(?P<name>[^\s=#'\"]+)[^\S\n]*(?P<sign>=[^\S\n]*|(?=\n|\Z))")
INACTIVE = re.compile(r"[^\S\n]*#(?:export[^\S\n]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.]*)(?P<sign>=[^\S\n]*)")
QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
PLAIN = re.compile(r"(?:[^\s#]|(?<!\s)#|[^\S\n]+(?![\s#]|\Z))*")
REST = re.compile(r"[^\S\n]*(#[^\n]*)?\r?(?:\n|\Z)")


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting: the lines from `start` up to `stop` say it; the comment that belongs to it begins at `head`.

    Its value stands from `valued` up to `ended`, counted from the beginning of its first line.
    """

    name: str
    commented: bool
    value: str | None
    head: int
    start: int
    stop: int
    valued: int
    ended: int

    @property
    def data(self) -> str | None:
        if self.commented or self.value is None:
            return f"#{self.value}" if self.commented else None
        return f"\\{self.value}" if re.match(r"\\*#", self.value) else self.value


class Env:
    """Reads and changes environment files."""

    def load(self, text: str) -> Data:
        """Return what `text` says. Raises UnreadableError."""
        return {name: setting.data for name, setting in _effective(scan(split(text))).items()}

    def conform(self, text: str, wanted: Data, sources: Sequence[str], rules: Rules) -> str:
        """Return `text` changed to say `wanted`; all else stays byte for byte. Raises UnreadableError."""
        return _Conform(text, wanted, sources).text()


FORMAT = Env()


def is_comment(line: str) -> bool:
    """Whether `line` is a comment, and not a setting that is commented out."""
    return line.lstrip().startswith("#") and not INACTIVE.match(line)


def scan(lines: Sequence[str]) -> list[Setting]:
    """The settings of a text, those that others override included. Raises UnreadableError."""
    settings = []
    number = 0
    while number < len(lines):
        line = lines[number]
        if not line.strip() or is_comment(line):
            number += 1
            continue
        settings.append(_setting(lines, number))
        number = settings[-1].stop
    return settings


def _setting(lines: Sequence[str], start: int) -> Setting:
    line = lines[start]
    match = INACTIVE.match(line) or ACTIVE.match(line)
    if match is None:
        raise UnreadableError(f"line {start + 1}: {bare(line).strip()} is neither NAME=value nor a comment.")
    commented = match.re is INACTIVE
    valued = match.end()
    ended, stop = valued, start + 1
    if match["sign"]:
        ended, stop = _value(lines, start, valued, commented)
    value = "".join(lines[start:stop])[valued:ended].replace("\r\n", "\n") if match["sign"] else None
    head = start
    while head and is_comment(lines[head - 1]):
        head -= 1
    return Setting(match["name"], commented, value, head, start, stop, valued, ended)


def _value(lines: Sequence[str], start: int, valued: int, commented: bool) -> tuple[int, int]:
    """Where the value on line `start` ends, and the number of the line behind it."""
    rest = lines[start] if commented else "".join(lines[start:])
    quoted = QUOTED.match(rest, valued)
    if quoted and REST.match(rest, quoted.end()):
        return quoted.end(), start + 1 + quoted.group().count("\n")
    plain = PLAIN.match(lines[start], valued)
    return plain.end() if plain else valued, start + 1


def _effective(settings: Sequence[Setting]) -> dict[str, Setting]:
    """What counts: the last one that is no comment, otherwise the first one; in the order of the text."""
    found: dict[str, Setting] = {}
    for setting in settings:
        if setting.name not in found or not setting.commented:
            found[setting.name] = setting
    return dict(sorted(found.items(), key=lambda item: item[1].start))


class _Conform:
    """One change after the other, each on what the one before left."""

    def __init__(self, text: str, wanted: dict[str, str | None], sources: Sequence[str]) -> None:
        self.lines = Lines(text)
        self.wanted = wanted
        self.sources = [(split(source), _effective(scan(split(source)))) for source in sources]
        self.known: Known = comments_of(templates(sources), is_comment)

    @property
    def now(self) -> dict[str, Setting]:
        return _effective(scan(self.lines.lines))

    def text(self) -> str:
        for name in [name for name in self.now if name not in self.wanted]:
            self._delete(scan(self.lines.lines), name)
        for name in dict.fromkeys([*self._names(), *self.wanted]):
            old = self.now.get(name)
            if old is None:
                self._add(name, *self._source(name))
            elif old.data != self.wanted[name]:
                self._replace(old, *self._source(name))
        return self.lines.text

    def _names(self) -> Iterator[str]:
        return (name for _, settings in self.sources for name in settings if name in self.wanted)

    def _source(self, name: str) -> tuple[list[str], dict[str, Setting]]:
        for lines, settings in self.sources:
            if name in settings and settings[name].data == self.wanted[name]:
                return lines, settings
        lines = [_plain(name, self.wanted[name])]
        return lines, _effective(scan(lines))

    def _delete(self, settings: Sequence[Setting], name: str, but: Setting | None = None) -> None:
        for one in reversed(settings):
            if one.name == name and one != but:
                self.lines.delete_except(one.head, one.stop, self._is_team_s)

    def _is_team_s(self, line: str) -> bool:
        return is_comment(line) and line.strip() not in self.known

    def _add(self, name: str, lines: Sequence[str], order: dict[str, Setting]) -> None:
        new, now = order[name], self.now
        block = [bare(line) for line in lines[new.head : new.stop]]
        beside = neighbour(name, list(order), now)
        if beside is None:
            self.lines.append(block)
        elif beside[1]:
            gap = 1 if new.head and not lines[new.head - 1].strip() else 0
            self.lines.insert_behind(now[beside[0]].stop, block, gap)
        else:
            gap = 1 if new.stop < len(lines) and not lines[new.stop].strip() else 0
            self.lines.insert_before(now[beside[0]].head, block, gap)

    def _replace(self, old: Setting, lines: Sequence[str], order: dict[str, Setting]) -> None:
        new = order[old.name]
        ours, theirs = self._said(self.lines.lines, old), self._said(lines, new)
        if old.value is None or new.value is None or (new.commented and not _one_line(old, ours)):
            said = theirs
        else:
            said = ours[: old.valued] + theirs[new.valued : new.ended] + ours[old.ended :]
            said = said if old.commented == new.commented else _switched(said, new.commented)
        self.lines.replace(old.start, old.stop, said.split("\n"))
        if new.commented != old.commented or old.value is None or new.value is None:
            self._delete_others(old)

    def _said(self, lines: Sequence[str], setting: Setting) -> str:
        return bare("".join(lines[setting.start : setting.stop]))

    def _delete_others(self, old: Setting) -> None:
        settings = scan(self.lines.lines)
        replaced = next(one for one in settings if one.start == old.start)
        self._delete(settings, old.name, but=replaced)


def _one_line(setting: Setting, said: str) -> bool:
    return "\n" not in said


def _switched(said: str, commented: bool) -> str:
    return f"#{said.lstrip()}" if commented else said.lstrip().removeprefix("#")


def _plain(name: str, data: str | None) -> str:
    if data is None:
        return name
    if data.startswith("#"):
        return f"#{name}={data[1:]}"
    return f"{name}={data[1:]}" if re.match(r"\\+#", data) else f"{name}={data}"
