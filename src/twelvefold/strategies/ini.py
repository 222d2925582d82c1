"""INI files as configparser reads them, without interpolation: setup.cfg, tox.ini, alembic.ini.

The data are {section: {key: text of the value, None for a key without one}}; DEFAULT is a section like any other.
https://docs.python.org/3/library/configparser.html#supported-ini-file-structure
"""

from __future__ import annotations

import configparser
from collections.abc import Sequence
from dataclasses import dataclass, field

from twelvefold.strategies.lines import Known, Lines, bare, comments_of, neighbour, split, templates
from twelvefold.strategies.merging import UnreadableError
from twelvefold.strategies.rules import Rules
from twelvefold.strategies.three_way import Data, same

HEADER = configparser.RawConfigParser.SECTCRE
OPTION = configparser.RawConfigParser.OPTCRE_NV


@dataclass(slots=True)
class Entry:
    """A key: the lines from `start` up to `stop` say it, and those from `head` up to `end` belong to it.

    On the first of its lines the key ends at column `named`, and the value begins at column `valued`.
    """

    key: str
    head: int
    start: int
    stop: int
    end: int
    indent: int
    named: int
    valued: int
    texts: list[str] | None

    @property
    def value(self) -> str | None:
        return None if self.texts is None else "\n".join(self.texts).rstrip()


@dataclass(slots=True)
class Section:
    """A section: its header is on line `start`, and the lines from `head` up to `end` belong to it."""

    name: str
    head: int
    start: int
    end: int
    indent: int
    entries: dict[str, Entry] = field(default_factory=dict)

    @property
    def data(self) -> dict[str, str | None]:
        return {key: entry.value for key, entry in self.entries.items()}

    @property
    def bottom(self) -> int:
        """The line behind the last key."""
        return max((entry.end for entry in self.entries.values()), default=self.start + 1)


class Ini:
    """Reads and changes INI files."""

    def load(self, text: str) -> Data:
        """Return what `text` says. Raises UnreadableError."""
        data = _parsed(text)
        scanned = _Scan(split(text)).data
        if scanned != data:
            raise UnreadableError("it is written in a way that only configparser can read.")
        return data

    def conform(self, text: str, wanted: Data, sources: Sequence[str], rules: Rules) -> str:
        """Return `text` changed to say `wanted`; all else stays byte for byte. Raises UnreadableError."""
        return _Conform(text, wanted, sources).text()


FORMAT = Ini()


def _parsed(text: str) -> dict[str, dict[str, str | None]]:
    parser = configparser.RawConfigParser(allow_no_value=True, default_section="")  # no header can be empty
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(text, "it")
    except configparser.Error as error:
        raise UnreadableError(_sentence(error)) from error
    except AttributeError as error:  # a key without value goes on in the next line; a configparser.Error since 3.13
        raise UnreadableError("a key without a value has a line below it that is indented deeper.") from error
    return {name: dict(parser.items(name)) for name in parser.sections()}


def _sentence(error: configparser.Error) -> str:
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"line {error.lineno}: it stands above the first [section]."
    if isinstance(error, configparser.DuplicateOptionError):
        return f"line {error.lineno}: {error.option} is in [{error.section}] already."
    if isinstance(error, configparser.DuplicateSectionError):
        return f"line {error.lineno}: there is a [{error.section}] already."
    if isinstance(error, configparser.ParsingError):
        line, content = error.errors[0]
        return f"line {line}: {content} is neither a [section] nor a key."
    return f"{error.message.splitlines()[0]}."


def is_comment(line: str) -> bool:
    """Whether configparser skips `line`."""
    return line.strip().startswith(("#", ";"))


class _Scan:
    """Where things stand: configparser's own reading, with line numbers."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self.sections: dict[str, Section] = {}
        self._section: Section | None = None
        self._entry: Entry | None = None
        self._indent = 0
        for number, line in enumerate(lines):
            if line.strip():
                self._line(number, line)
            elif self._entry and self._entry.texts is not None:
                self._entry.texts.append("")
        self._close()

    @property
    def data(self) -> dict[str, dict[str, str | None]]:
        return {name: section.data for name, section in self.sections.items()}

    @property
    def places(self) -> set[tuple[str, str]]:
        """Section and name of each key."""
        return {(name, key) for name, section in self.sections.items() for key in section.entries}

    def raw(self, name: str) -> list[str]:
        """The lines of a section, without comments below, which another header could take for its own."""
        section = self.sections[name]
        return [bare(line) for line in self.lines[section.head : section.bottom]]

    def _line(self, number: int, line: str) -> None:
        indent = len(line) - len(line.lstrip())
        if is_comment(line):
            self._comment(number, indent)
        elif self._entry and indent > self._indent:
            self._continue(number, line.strip())
        else:
            self._indent = indent
            self._begin(number, line.strip())

    def _comment(self, number: int, indent: int) -> None:
        if self._entry and number == self._entry.end and indent > self._indent:
            self._entry.end += 1

    def _continue(self, number: int, content: str) -> None:
        assert self._entry is not None  # noqa: S101 - for the type checker
        if self._entry.texts is None:
            raise UnreadableError(f"line {number + 1}: it goes on with a key that has no value.")
        self._entry.texts.append(content)
        self._entry.stop = self._entry.end = number + 1

    def _begin(self, number: int, content: str) -> None:
        header = HEADER.match(content)
        if header:
            self._entry = None
            head = self._head(number, max((one.bottom for one in self.sections.values()), default=0))
            self._section = Section(header["header"], head, number, number + 1, self._indent)
            self.sections[self._section.name] = self._section
        elif self._section is not None:
            self._key(number, content, self._section)

    def _key(self, number: int, content: str, section: Section) -> None:
        match = OPTION.match(content)
        if not match:
            return
        key, value, shift = match["option"].rstrip(), match["value"], self._indent
        self._entry = Entry(
            key=key,
            head=self._head(number, section.bottom),
            start=number,
            stop=number + 1,
            end=number + 1,
            indent=shift,
            named=shift + len(key),
            valued=shift + (match.start("value") if value is not None else len(content)),
            texts=None if value is None else [value.strip()],
        )
        section.entries[key] = self._entry

    def _head(self, number: int, floor: int) -> int:
        while number > floor and is_comment(self.lines[number - 1]):
            number -= 1
        return number

    def _close(self) -> None:
        """Say where the sections end: comments right below the last key are theirs unless a header follows."""
        found = list(self.sections.values())
        for section, limit in zip(found, [*(one.head for one in found[1:]), len(self.lines)], strict=False):
            section.end = section.bottom
            while section.end < limit and is_comment(self.lines[section.end]):
                section.end += 1


class _Conform:
    """One change after the other, each on what the one before left."""

    def __init__(self, text: str, wanted: Data, sources: Sequence[str]) -> None:
        self.lines = Lines(text)
        self.wanted = wanted
        self.sources = [_Scan(split(source)) for source in sources]
        self.known: Known = comments_of(templates(sources), is_comment)
        if len(sources) > 2 and self._is_astray():
            raise UnreadableError("a merge of the lines put keys into a section where nobody has them.")

    @property
    def now(self) -> _Scan:
        return _Scan(self.lines.lines)

    def text(self) -> str:
        for name in [name for name in self.now.sections if name not in self.wanted]:
            section = self.now.sections[name]
            self.lines.delete_except(section.head, section.end, self._is_team_s)
        for name in _ordered(self.wanted, [source.sections for source in self.sources]):
            if name not in self.now.sections:
                self._add_section(name)
            self._change_section(name, self.wanted[name])
        return self.lines.text

    def _is_astray(self) -> bool:
        """Whether a draft is no use, since its lines were aligned across sections."""
        now, service = self.now, self.sources[1]
        foreign = now.places - {place for source in self.sources for place in source.places}
        return bool(foreign) or any(name in self.wanted and name not in now.sections for name in service.sections)

    def _is_team_s(self, line: str) -> bool:
        return is_comment(line) and line.strip() not in self.known

    def _add_section(self, name: str) -> None:
        having = [source for source in self.sources if name in source.sections]
        source = next((one for one in having if same(one.sections[name].data, self.wanted[name])), None)
        block = source.raw(name) if source else [f"[{name}]"]
        now = self.now.sections
        beside = neighbour(name, list(having[0].sections), now) if having else None
        if beside is None:
            self.lines.append(block)
        elif beside[1]:
            self.lines.insert_behind(now[beside[0]].end, block, 1)
        else:
            self.lines.insert_before(now[beside[0]].head, block, 1)

    def _change_section(self, name: str, wanted: dict[str, str | None]) -> None:
        for key in [key for key in self.now.sections[name].entries if key not in wanted]:
            entry = self.now.sections[name].entries[key]
            self.lines.delete_except(entry.head, entry.end, self._is_team_s)
        having = [(one, one.sections[name].entries) for one in self.sources if name in one.sections]
        for key in _ordered(wanted, [entries for _, entries in having]):
            section = self.now.sections[name]
            fitting = [(one, found) for one, found in having if key in found and found[key].value == wanted[key]]
            source = (fitting[0][0].lines, fitting[0][1]) if fitting else None
            if key not in section.entries:
                self._add_key(section, key, source or _plain(key, wanted[key]))
            elif section.entries[key].value != wanted[key]:
                self._replace(section.entries[key], source or _plain(key, wanted[key]))

    def _add_key(self, section: Section, key: str, source: tuple[Sequence[str], dict[str, Entry]]) -> None:
        lines, order = source
        new = order[key]
        block = _indented(lines[new.head : new.end], new.indent, _indent_in(section))
        beside = neighbour(key, list(order), section.entries)
        if beside is None:
            self.lines.insert_behind(section.bottom, block, 0)
        elif beside[1]:
            self.lines.insert_behind(section.entries[beside[0]].end, block, _blank_before(lines, new.head))
        else:
            self.lines.insert_before(section.entries[beside[0]].head, block, 0)

    def _replace(self, old: Entry, source: tuple[Sequence[str], dict[str, Entry]]) -> None:
        lines, order = source
        new = order[old.key]
        first, *rest = _indented(lines[new.start : new.stop], new.indent, old.indent)
        shift = old.indent - new.indent
        ours = bare(self.lines.lines[old.start])
        if (
            old.value is None
            or new.value is None
            or not old.texts
            or not old.texts[0]
            or not first[new.valued + shift :]
        ):
            head = ours[: old.named] + first[new.named + shift :]
        else:
            head = ours[: old.valued] + first[new.valued + shift :]
        self.lines.replace(old.start, old.stop, [head, *rest])


def _ordered(wanted: dict[str, Data], found: Sequence[dict[str, Data]]) -> list[str]:
    """The names of `wanted` in the order of the sources, so that neighbours are there before those beside them."""
    names = [name for each in found for name in each if name in wanted]
    return list(dict.fromkeys([*names, *wanted]))


def _plain(key: str, value: str | None) -> tuple[list[str], dict[str, Entry]]:
    """The lines of a key that no source has, and where it stands in them."""
    text = key if value is None else f"{key} = {value}".rstrip()
    lines = [f"    {line}" if number else line for number, line in enumerate(text.split("\n"))]
    valued = min(len(key) + 3, len(lines[0]))
    texts = None if value is None else value.split("\n")
    return lines, {key: Entry(key, 0, 0, len(lines), len(lines), 0, len(key), valued, texts)}


def _indent_in(section: Section) -> int:
    return next((entry.indent for entry in section.entries.values()), section.indent)


def _indented(lines: Sequence[str], was: int, indent: int) -> list[str]:
    """`lines` with `indent` instead of their first `was` columns."""
    if was == indent:
        return [bare(line) for line in lines]
    return [bare(line) if line[:was].strip() else " " * indent + bare(line)[was:] for line in lines]


def _blank_before(lines: Sequence[str], head: int) -> int:
    return 1 if head > 1 and not lines[head - 1].strip() else 0
