"""Plain text: a three-way merge of lines, in which the team's lines win where both changed the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from merge3 import Merge3

from twelvefold.decisions import Decision, Outcome


@dataclass(frozen=True, slots=True)
class Draft:
    """The merged text and the places where the template's lines lost."""

    text: str
    conflicts: list[Decision]


def merge_lines(base: str, template: str, service: str) -> Draft:
    """Merge the lines of three texts.

    Raises nothing: where both changed the same lines the service's stay, and `conflicts` has both texts.
    """
    lines: list[str] = []
    conflicts = []
    merging = Merge3(base.splitlines(True), template.splitlines(True), service.splitlines(True))
    for group in merging.merge_groups():
        if group[0] == "conflict":
            conflicts.append(_conflict(len(lines), group[2], group[3]))
        lines += group[-1]
    return Draft("".join(lines), conflicts)


def _conflict(above: int, template: Sequence[str], service: Sequence[str]) -> Decision:
    first, last = above + 1, above + max(len(service), 1)
    place = f"line {first}" if first == last else f"lines {first} to {last}"
    return Decision(Outcome.CONFLICT, key=place, yours="".join(service), template="".join(template))
