"""Putting parts and tables into a TOML document and taking them out, with the comments and spacing they need."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from twelvefold.strategies.lines import Known
from twelvefold.strategies.toml_document import Document, Part, Table, Value
from twelvefold.strategies.toml_layout import (
    attached,
    comments_of,
    indented,
    lead_of,
    shift,
    starts_blank,
    things_in,
    without_blank_end,
    without_blank_start,
)

INDENT = "  "


class Edit:
    """Edits one document. `known` are the comments that the template has or had, None if nobody knows; `strays` those
    of the template's that the merge of the lines may have misplaced.
    """

    def __init__(self, document: Document, newline: str, known: Known | None, strays: set[str]) -> None:
        self.document = document
        self.newline = newline
        self.known = known
        self.strays = strays

    # Pairs and tables

    def put_line(self, home: list[Part], index: int, before: bool, part: Part) -> None:
        """Put a pair into a table, apart from its neighbours or not as it was where it comes from."""
        self.unstray([part])
        lead = lead_of(part.lead)
        indent = lead_of(home[min(index, len(home) - 1)].lead).indent if home else ""
        free, following = "", self.lead_behind(home, index)
        if before or (home is self.document.tables[0].parts and not home):
            free = lead_of(following).free
            self.set_lead_behind(home, index, following.removeprefix(free) if home else self.apart(following, free))
        elif without_blank_end(lead.free) != lead.free and self.ends_block(home, index, following):
            free = self.newline
        part.lead = free + indented(lead.own, indent) + indent
        part.value = shift(part.value, lead.indent, indent)
        part.tail = part.tail if part.tail.endswith("\n") else part.tail + self.newline
        part.gap = part.comma = ""
        home.insert(index, part)

    def apart(self, lead: str, above: str) -> str:
        """`lead` without `above`, and with the blank lines that ended it, or one, if there is anything below."""
        rest = lead.removeprefix(above)
        below = len(self.document.tables) > 1 or self.document.end
        blank = above.removeprefix(without_blank_end(above)) or self.newline
        return blank + rest if below and not starts_blank(rest) else rest

    def ends_block(self, home: list[Part], index: int, following: str) -> bool:
        """Whether nothing of the same paragraph follows, so that a blank line before a new pair splits none."""
        return bool(home) and index > 0 and (index == len(home) or starts_blank(following))

    def insert_tables(self, place: int, originals: list[Table]) -> list[Table]:
        """Put copies of tables at a place, one blank line above each, and return them."""
        tables = self.document.tables
        self.unstray(originals)
        news = [deepcopy(table) for table in originals]
        for new in news:
            lead = lead_of(new.lead)
            new.lead = self.newline + lead.own + lead.indent
            new.tail = new.tail or self.newline
        following = self.lead_of_table(place)
        if place == 1 and not tables[0].parts:
            above = lead_of(following).free
            rest = self.apart(following, above)
            news[0].lead = above + news[0].lead.removeprefix(self.newline)
        else:
            above = attached(following, place == len(tables))
            rest = following.removeprefix(above)
            news[0].lead = above + news[0].lead
        self.set_lead_of_table(place, rest)
        tables[place:place] = news
        return news

    def reorder_tables(self, groups: list[list[Table]]) -> None:
        """Put tables in this order, each group where one stood: what is between them stays."""
        tables = self.document.tables
        order = [table for group in groups for table in group]
        slots = sorted(tables.index(table) for table in order)
        if [tables[slot] for slot in slots] != order:
            for slot, table in zip(slots, order, strict=True):
                tables[slot] = table

    def remove(self, home: list[Any], thing: Table | Part) -> None:
        """Take a pair or table out; the team's comments and the space around it stay for what follows."""
        lead = lead_of(thing.lead)
        is_first = str(self.document).startswith(str(thing)) and self.is_first(thing)
        index = home.index(thing)
        del home[index]
        kept = self.of_the_team(thing)
        rest = lead.free + kept + (self.newline if kept else "")
        following = self.lead_behind(home, index)
        at_end = self.is_end(home, index)
        body = without_blank_end(rest)
        if body:
            following = body + following if at_end or starts_blank(following) else rest + following
        elif is_first:
            following = without_blank_start(following) if not lead.free else following
        elif rest and not at_end and self.keeps_apart(thing, home, index, following):
            following = rest + following
        self.set_lead_behind(home, index, following)

    def is_first(self, thing: Table | Part) -> bool:
        """Whether it is the document's first, above which no space is to be left."""
        first = next(iter((*self.document.tables[0].parts, *self.document.tables[1:])), None)
        return thing is first

    def keeps_apart(self, thing: Table | Part, home: list[Any], index: int, following: str) -> bool:
        """Whether the blank lines above `thing` still part something when it is gone."""
        if starts_blank(following):
            return False
        return bool(attached(following)) if isinstance(thing, Table) else index < len(home)

    def of_the_team(self, thing: Table | Part) -> str:
        """The comment lines above and in `thing` that no template ever had."""
        if self.known is None:
            return ""
        return "".join(f"{line}{self.newline}" for line in comments_of(thing) if line not in self.known)

    def unstray(self, news: Sequence[Table | Part]) -> None:
        """Take the comments of what is put in away from where the merge of the lines has put them."""
        for line in {line for thing in news for line in comments_of(thing)} & self.strays:
            self.strays.remove(line)
            for thing in things_in(self.document.tables):
                first, *lines = thing.lead.split("\n")
                thing.lead = "\n".join([first, *(one for one in lines if one.strip() != line)])
                if first.strip() == line:
                    thing.lead = "\n".join(one for one in lines if one.strip() != line)

    # What stands behind a place in a table or between tables

    def is_end(self, home: list[Any], index: int) -> bool:
        """Whether nothing but the document's end follows."""
        return index == len(home) and (home is self.document.tables or self.table_behind(home) is None)

    def table_behind(self, home: list[Any]) -> Table | None:
        place = next(place for place, table in enumerate(self.document.tables) if table.parts is home) + 1
        return self.document.tables[place] if place < len(self.document.tables) else None

    def thing_behind(self, home: list[Any], index: int) -> Table | Part | None:
        """The pair or table whose lead is what stands behind a place; None if that is the document's end."""
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

    # In brackets

    def put_inside(self, value: Value, index: int, part: Part) -> None:
        """Put a member or pair into an array or inline table, written as its neighbours are."""
        self.unstray([part])
        parts = value.parts
        ends_with_comma = parts[-1].comma if parts else ""
        old = lead_of(part.lead, in_brackets=True)
        lead = self.fresh_lead(value, index)
        part.tail = part.tail if "\n" in lead else ""
        if "\n" in lead:
            indent = lead.rpartition("\n")[2]
            lead = lead.rpartition("\n")[0] + "\n" + indented(old.own, indent) + indent
        part.value = shift(part.value, old.indent if "\n" in part.lead else "", lead_of(lead, True).indent)
        part.lead, part.gap = lead, ""
        if index == 0 and parts and "\n" not in parts[0].lead:
            parts[0].lead = " "
        parts.insert(index, part)
        _punctuate(value, ends_with_comma)
        if len(parts) == 1 and value.opening == "{" and not value.close:
            part.lead = value.close = " "

    def fresh_lead(self, value: Value, index: int) -> str:
        """What stands before a new member: a line of its own where the others have one."""
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
        """Take a member or pair out of brackets; the team's comments stay."""
        parts = value.parts
        index = parts.index(part)
        ends_with_comma = parts[-1].comma
        del parts[index]
        lead = lead_of(part.lead, in_brackets=True)
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

    def reorder_inside(self, value: Value, order: list[Part]) -> None:
        """Put the members in this order; the space behind the opening bracket stays there."""
        first, ends_with_comma = value.parts[0], value.parts[-1].comma
        if order[0] is not first and "\n" not in first.lead:
            first.lead, order[0].lead = order[0].lead, first.lead
        value.parts[:] = order
        _punctuate(value, ends_with_comma)


def _punctuate(value: Value, ends_with_comma: str) -> None:
    for part in value.parts[:-1]:
        part.comma = ","
    value.parts[-1].comma = ends_with_comma


def _close_indent(value: Value) -> str:
    return value.close.rpartition("\n")[2]
