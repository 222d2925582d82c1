"""From three texts to one: what all formats have in common.

The lines are merged first, because that keeps everybody's comments, order and spacing. What the lines then say is
compared with what the three-way merge of the data wants, and the format splices in the difference. Whatever comes
out is read again: a text that does not say exactly what it should is never written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from twelvefold.decisions import Decision, Outcome
from twelvefold.strategies.rules import Rules
from twelvefold.strategies.text import MergedText as MergedText
from twelvefold.strategies.text import merge_lines
from twelvefold.strategies.three_way import ABSENT, Data, merge, same


class UnreadableError(Exception):
    """A text is not of its format: a sentence without the file's name, with the line where there is one."""


@runtime_checkable
class Format(Protocol):
    """How to read a format, and how to change what a text says without touching the rest of it."""

    def load(self, text: str) -> Data:
        """Return what `text` says. Raises UnreadableError."""

    def conform(self, text: str, wanted: Data, sources: Sequence[str], rules: Rules) -> str:
        """Return `text` changed to say `wanted`; all else stays byte for byte.

        `sources` are the template's text, the service's, and the base where there is one. New parts are taken as
        they are written in the first of them that says the same there, with their comments, and stand behind the
        neighbour that they have there. `rules` say by what members are known.
        Raises UnreadableError if it cannot; the caller reads the result again.
        """


@runtime_checkable
class OwnMerge(Protocol):
    """A format that merges texts its own way, because key by key is not what its owners mean."""

    def merge(self, base: str | None, template: str, service: str, rules: Rules) -> MergedText:
        """Merge three different texts as `merge_texts` does, which asks for it. Raises UnreadableError."""


def merge_texts(form: Format | OwnMerge, base: str | None, template: str, service: str, rules: Rules) -> MergedText:
    """Merge three texts of one format; `base` is None where nobody knows what the template said the last time.

    A service that cannot be read stays as it is. Raises UnreadableError if the template cannot be read.
    """
    if service in (base, template):
        return MergedText(template)
    if isinstance(form, OwnMerge):
        return form.merge(base, template, service, rules)
    theirs = form.load(template)
    try:
        ours = form.load(service)
    except UnreadableError as error:
        return _unreadable(service, error)
    last = _base(form, base)
    wanted, decisions = merge(last, theirs, ours, rules)
    drafts = [service] if base is None else [merge_lines(base, template, service).text, service]
    sources = (template, service) if base is None or last is ABSENT else (template, service, base)
    for draft in drafts:
        text = conformed(form, draft, wanted, sources, rules)
        if text is not None:
            return MergedText(text, decisions)
    return _not_put_in(template, service)


def _not_put_in(template: str, service: str) -> MergedText:
    """`service` as it is, because what should be in it could not be written."""
    note = "what the template changed could not be put in; compare with the template and put it in by hand"
    return MergedText(service, [Decision(Outcome.UNREADABLE, note=note, yours=service, template=template)])


def _unreadable(service: str, error: UnreadableError) -> MergedText:
    """`service` as it is, because it cannot be read."""
    return MergedText(service, [Decision(Outcome.UNREADABLE, note=f"{error} Fix it and update again")])


def _base(form: Format, base: str | None) -> Data:
    try:
        return ABSENT if base is None else form.load(base)
    except UnreadableError:  # somebody edited the memory: as if there were none
        return ABSENT


def conformed(form: Format, draft: str, wanted: Data, sources: Sequence[str], rules: Rules) -> str | None:
    """`draft`, changed to say `wanted` as `Format.conform` does it; None if the result would say something else."""
    try:
        if same(form.load(draft), wanted):
            return draft
        text = form.conform(draft, wanted, sources, rules)
        return text if same(form.load(text), wanted) else None
    except UnreadableError:
        return None
