"""Making a TOML document say what it should: what is to come, to go and to become another, and where."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import replace

from twelvefold.strategies.rules import Path, Rules
from twelvefold.strategies.three_way import Data, identities, same
from twelvefold.strategies.toml_document import Found, Part, Table, TomlSpot, Value, dotted, key_text, plain, tables_of
from twelvefold.strategies.toml_edit import Edit
from twelvefold.strategies.toml_layout import lead_of, shift


class Conformer:
    """Changes the document of `edit`. `headers` are those that the template writes.

    What is new is written as the first of the `sources` does that says it, or can be changed to.
    """

    def __init__(self, edit: Edit, rules: Rules, headers: set[Path]) -> None:
        self.edit = edit
        self.document = edit.document
        self.newline = edit.newline
        self.rules = rules
        self.headers = headers

    def value(self, path: Path, spot: TomlSpot, wanted: Data, sources: list[TomlSpot]) -> None:
        """Make the place say `wanted`, in the way that it is written if that can be."""
        if not spot.can_become(wanted):
            self.replace(spot, wanted, sources)
        elif isinstance(wanted, dict):
            self.mapping(path, spot, wanted, sources)
        else:
            self.members(path, spot, wanted, sources)

    def replace(self, spot: TomlSpot, wanted: Data, sources: list[TomlSpot]) -> None:
        """Write a value anew, or, where it is no value but tables or dotted keys, the whole key."""
        part = spot.part()
        source = next((one for one in sources if same(one.data, wanted) and one.part()), None)
        if part is not None and (source or spot.is_bracketed()):
            lead = lead_of(part.lead, spot.is_bracketed())
            kept = "" if spot.is_bracketed() else self.edit.of_the_team(replace(part, lead=""))
            part.value = self.copied(source, lead.indent) if source else plain(wanted)
            part.lead = f"{lead.above}{lead.own}{kept}{lead.indent}" if kept else part.lead
            return
        key = str(spot.where[-1])
        parent = TomlSpot(self.document, spot.where[:-1], None)
        self.delete(parent, key)
        said = self.insert(parent, key, wanted, sources)
        if not same(said, wanted):
            self.value(spot.keys, spot.saying(said), wanted, sources)

    def copied(self, source: TomlSpot, indent: str) -> Value:
        """The value as `source` writes it, moved to `indent`."""
        part = source.part()
        if part is None:
            return plain(source.data)
        return shift(deepcopy(part.value), lead_of(part.lead, source.is_bracketed()).indent, indent)

    # Mappings

    def mapping(self, path: Path, spot: TomlSpot, wanted: Mapping[str, Data], sources: list[TomlSpot]) -> None:
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

    def insert(self, spot: TomlSpot, key: str, wanted: Data, sources: list[TomlSpot]) -> Data:
        """Write `key` as the first fitting source does, and return what it says then."""
        source = _fitting(sources, wanted)
        if source is None:
            self.insert_part(spot, key, Part("", (key,), f"{key_text(key)} = ", plain(wanted)), None)
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
            self.edit.insert_tables(self.place_of_table(spot, source, tables[0]), tables)
        return source.data

    def in_brackets(self, key: str, source: TomlSpot) -> Part:
        """The pair as an inline table has it, on one line unless the source's is in brackets, too."""
        part = source.part()
        name = part.name if part is not None and part.keys == (key,) else f"{key_text(key)} = "
        lead, tail = (part.lead, part.tail) if part is not None and source.is_bracketed() else ("", "")
        return Part(lead, (key,), name, self.copied(source, ""), tail=tail)

    def insert_part(self, spot: TomlSpot, key: str, part: Part, source: TomlSpot | None) -> None:
        """Put `part`, whose keys are those below `spot`, where its neighbours in `source` say."""
        order = source.above().order() if source else []
        inline = spot.part()
        if inline is not None:
            home = inline.value.parts
            self.edit.put_inside(inline.value, _place(home, spot.inner(), key, order)[0], part)
            return
        home, prefix = self.home(spot, source)
        keys = (*prefix, *part.keys)
        original = source.part() if source else None
        name = part.name if original is None or original.keys == keys else f"{dotted(keys)} = "
        name = name if len(keys) == len(part.keys) else f"{dotted(keys)} = "
        index, before = _place(home, spot.inner(), key, order)
        self.edit.put_line(home, index, before, replace(part, keys=keys, name=name, value=deepcopy(part.value)))

    def home(self, spot: TomlSpot, source: TomlSpot | None) -> tuple[list[Part], Path]:
        """Where pairs of a table stand, and the keys that they are written with there."""
        found = spot.found()
        for one in found:
            if not one.keys and isinstance(one.thing, Table):
                return one.thing.parts, ()
        for one in found:
            if isinstance(one.thing, Part) and len(one.thing.keys) > len(one.keys):
                return one.home, one.thing.keys[: len(one.thing.keys) - len(one.keys)]
        table = Table(self.newline, spot.keys, f"[{dotted(spot.keys)}]", self.newline)
        original = source.above().table() if source else None
        if original is not None:
            table = replace(original, parts=[])
        first = next((one.thing for one in found if isinstance(one.thing, Table)), None)
        place = self.document.tables.index(first) if first else len(self.document.tables)
        return self.edit.insert_tables(place, [table])[0].parts, ()

    # Tables

    def place_of_table(self, spot: TomlSpot, source: TomlSpot, table: Table) -> int:
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

    # Deleting

    def delete(self, spot: TomlSpot, key: str) -> None:
        """Take out all that says `key`; parts go with the table that they stand in."""
        inline = spot.part()
        found = spot.below(key, None).found()
        tables = [one.thing for one in found if isinstance(one.thing, Table)]
        inside = {id(part) for table in tables for part in table.parts}
        for one in found:
            if inline is not None and isinstance(one.thing, Part):
                self.edit.remove_inside(inline.value, one.thing)
            elif id(one.thing) not in inside:
                self.edit.remove(one.home, one.thing)

    def drop_header(self, spot: TomlSpot) -> None:
        """Remove a header that holds nothing any more and that its sub-tables can do without."""
        table = spot.table()
        if table is None or table.is_member or table.parts or table.keys in self.headers or "#" in table.tail:
            return
        if table.head and len(spot.found()) > 1:
            self.edit.remove(self.document.tables, table)

    # Members

    def members(self, path: Path, spot: TomlSpot, wanted: list[Data], sources: list[TomlSpot]) -> None:
        """Change a list by what its members are known by: insert, delete, sort, then change each."""
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
        self, value: Value, ours: list[str], names: Mapping[str, Data], news: Mapping[str, TomlSpot | None]
    ) -> None:
        """Insert, delete and sort the members of an array."""
        parts = dict(zip(ours, value.parts, strict=True))
        for name, place in _places(ours, list(names)):
            source = news[name]
            part = self.member(source) if source else Part("", (), "", plain(names[name]))
            index = len(value.parts) if place is None else value.parts.index(parts[place[0]]) + place[1]
            self.edit.put_inside(value, index, part)
            parts[name] = part
        for name in ours:
            if name not in names:
                self.edit.remove_inside(value, parts[name])
        order = [parts[name] for name in names]
        if value.parts != order:
            self.edit.reorder_inside(value, order)

    def member(self, source: TomlSpot) -> Part:
        original = source.part()
        if original is None:
            return Part("", (), "", plain(source.data))
        return deepcopy(original)

    def members_of_tables(
        self, spot: TomlSpot, ours: list[str], names: Mapping[str, Data], news: Mapping[str, TomlSpot | None]
    ) -> None:
        """Insert, delete and sort an array of tables; a member's sub-tables come and go with it."""
        tables = {name: tables_of(group) for name, group in zip(ours, spot.groups(), strict=True)}
        for name, place in _places(ours, list(names)):
            source = news[name]
            group = tables_of(source.found()) if source else []
            group = group or [self.table_of(spot.keys, names[name] if source is None else source.data)]
            index = self.index_of(tables, place)
            tables[name] = self.edit.insert_tables(index, group)
        for name in ours:
            if name not in names:
                for table in tables[name]:
                    self.edit.remove(self.document.tables, table)
        self.edit.reorder_tables([tables[name] for name in names])

    def index_of(self, tables: Mapping[str, list[Table]], place: tuple[str, int] | None) -> int:
        if place is None:
            return 1 + max(self.document.tables.index(one) for group in tables.values() for one in group)
        group = tables[place[0]]
        return self.document.tables.index(group[-1]) + 1 if place[1] else self.document.tables.index(group[0])

    def table_of(self, keys: Path, data: Mapping[str, Data]) -> Table:
        """A member of an array of tables, written plainly."""
        parts = [
            Part("", (key,), f"{key_text(key)} = ", plain(value), tail=self.newline) for key, value in data.items()
        ]
        return Table(self.newline, keys, f"[[{dotted(keys)}]]", self.newline, parts)


def _fitting(sources: list[TomlSpot], wanted: Data) -> TomlSpot | None:
    """The first source that says `wanted`, or else that can be changed to say it."""
    return next((one for one in sources if same(one.data, wanted)), None) or next(
        (one for one in sources if one.can_become(wanted)), None
    )


def _below(sources: list[TomlSpot], key: str) -> list[TomlSpot]:
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
