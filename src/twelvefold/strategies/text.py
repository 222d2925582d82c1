"""Plain text: a three-way merge of lines, in which the team's lines win where both changed the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from merge3 import Merge3

from twelvefold.decisions import Decision, Outcome
from twelvefold.strategies.lines import bare, ends, joined, newline_of, split
from twelvefold.strategies.rules import Rules


@dataclass(frozen=True, slots=True)
class MergedText:
    """A merged file's text, and what was decided about it."""

    text: str
    decisions: Sequence[Decision] = ()


@dataclass(frozen=True, slots=True)
class Hunk:
    """The same place in three texts: lines as they stand there, and what they are compared by."""

    lines: tuple[list[str], list[str], list[str]]
    keys: tuple[list[str], list[str], list[str]]

    @property
    def is_service_s(self) -> bool:
        """Whether only the service changed it, or both did the same, or nobody."""
        base, template, service = self.keys
        return template in (base, service)

    @property
    def is_template_s(self) -> bool:
        """Whether only the template changed it."""
        base, template, service = self.keys
        return service == base != template


def hunks(base: str, template: str, service: str, key: Callable[[str], str] = bare) -> Iterator[Hunk]:
    """Align three texts; lines are compared by `key`, and so never by how they end."""
    texts = split(base), split(template), split(service)
    keys = [key(line) for line in texts[0]], [key(line) for line in texts[1]], [key(line) for line in texts[2]]

    def hunk(*places: slice) -> Hunk:
        first, second, third = places
        return Hunk(
            (texts[0][first], texts[1][second], texts[2][third]), (keys[0][first], keys[1][second], keys[2][third])
        )

    done = 0, 0, 0
    for region in Merge3(*keys).find_sync_regions():
        starts, stops = region[::2], region[1::2]
        yield hunk(*map(slice, done, starts))
        yield hunk(*map(slice, starts, stops))
        done = stops


def merge_lines(base: str, template: str, service: str) -> MergedText:
    """Merge the lines of three texts.

    Raises nothing: where both changed the same lines the service's stay, and the decisions have both texts. Lines
    that come from the template end as the service's do.
    """
    newline = newline_of(service or template)
    lines: list[str] = []
    conflicts = []
    for hunk in hunks(base, template, service):
        _, theirs, ours = hunk.lines
        if hunk.is_template_s:
            lines += [bare(line) for line in theirs]
            continue
        if not hunk.is_service_s:
            conflicts.append(_conflict(len(lines), theirs, ours))
        lines += ours
    return MergedText(joined(lines, newline, merged_end(base, template, service)), conflicts)


def merged_end(base: str, template: str, service: str) -> bool:
    """Whether a merged text's last line has an end."""
    return ends(service) if ends(template) == ends(base) else ends(template)


def _conflict(above: int, template: Sequence[str], service: Sequence[str]) -> Decision:
    first, last = above + 1, above + max(len(service), 1)
    place = f"line {first}" if first == last else f"lines {first} to {last}"
    return Decision(Outcome.CONFLICT, key=place, yours="".join(service), template="".join(template))


class Text:
    """Any text: its lines are all that is known about it."""

    def merge(self, base: str | None, template: str, service: str, rules: Rules) -> MergedText:
        """Merge three texts; without a base the service stays, for nobody knows who wrote what."""
        if base is not None:
            return merge_lines(base, template, service)
        return MergedText(service, [_conflict(0, split(template), split(service))])


FORMAT = Text()
