"""The comments, blank lines and indents of TOML: whose they are, and how they move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from twelvefold.strategies.toml_document import Part, Table, Value


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


def lead_of(text: str, in_brackets: bool = False) -> Lead:
    """Take apart what stands above a thing; in brackets it begins on the line of what is before it."""
    lines = text.split("\n")
    before = f"{lines.pop(0)}\n" if in_brackets and len(lines) > 1 else ""
    indent = lines.pop()
    first_own = len(lines)
    while first_own and lines[first_own - 1].strip():
        first_own -= 1
    free, own = ("".join(f"{line}\n" for line in some) for some in (lines[:first_own], lines[first_own:]))
    return Lead(before, free, own, indent)


def without_blank_end(text: str) -> str:
    """`text`, some whole lines, without the blank ones at its end."""
    lines = text.split("\n")[:-1]
    while lines and not lines[-1].strip():
        lines.pop()
    return "".join(f"{line}\n" for line in lines)


def starts_blank(text: str) -> bool:
    """Whether the first line of `text` is blank."""
    return "\n" in text and not text.partition("\n")[0].strip()


def indented(own: str, indent: str) -> str:
    """The lines of `own` with `indent` instead of theirs."""
    return "".join(f"{indent}{line.lstrip()}\n" for line in own.split("\n")[:-1])


def shift(value: Value, old: str, new: str) -> Value:
    """`value` with its inner lines indented by `new` where they were by `old`."""
    if old != new:
        value.close = _shifted(value.close, old, new)
        for part in value.parts:
            part.lead = _shifted(part.lead, old, new)
            shift(part.value, old, new)
    return value


def _shifted(text: str, old: str, new: str) -> str:
    first, *lines = text.split("\n")
    return "\n".join([first, *(new + line.removeprefix(old) for line in lines)])


def attached(lead: str, at_end: bool = False) -> str:
    """The comment lines at the start of `lead` that belong to what stands above: a blank line sets them apart."""
    lines = lead.split("\n")
    blank = next((number for number, line in enumerate(lines[:-1]) if not line.strip()), None)
    if blank is None:
        return lead if at_end else ""
    return "".join(f"{line}\n" for line in lines[:blank])


def without_blank_start(lead: str) -> str:
    """`lead` without the blank lines at its start."""
    while starts_blank(lead):
        lead = lead.partition("\n")[2]
    return lead


# Comments


def is_comment(line: str) -> bool:
    """Whether there is nothing but a comment on `line`."""
    return line.lstrip().startswith("#")


def comments(text: str) -> list[str]:
    """The comment lines of `text`, stripped."""
    return [line.strip() for line in text.split("\n") if is_comment(line)]


def comments_of(thing: Table | Part) -> list[str]:
    """The comment lines above and in `thing`."""
    return [line for lead in (lead_of(thing.lead).own, *_leads(thing)) for line in comments(lead)]


def only_of_the_first(sources: Sequence[str]) -> set[str]:
    """The comments that stand once in the template and not in the service: where a draft has them is a guess."""
    first, *others = map(comments, sources)
    known = {line for lines in others[:1] for line in lines}
    return {line for line, count in Counter(first).items() if count == 1 and line not in known}


def things_in(things: Sequence[Table | Part]) -> Iterator[Table | Part]:
    """`things` and all that is in them."""
    for thing in things:
        yield thing
        yield from things_in(thing.parts if isinstance(thing, Table) else thing.value.parts)


def _leads(thing: Table | Part) -> Iterator[str]:
    """What stands above the parts in `thing`."""
    for part in thing.parts if isinstance(thing, Table) else thing.value.parts:
        yield part.lead
        yield from _leads(part)
    if isinstance(thing, Part):
        yield thing.value.close
