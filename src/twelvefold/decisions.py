"""What a rollup decided against somebody's edit, as sentences that a person can act on."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

from twelvefold.console import warn


class Outcome(enum.StrEnum):
    """What became of an edit. The values stand in reports."""

    KEPT = "kept"  # yours, though the template has another
    HEALED = "healed"  # the template's, where you had another
    RETURNED = "returned"  # the template's, which you had deleted
    CONFLICT = "conflict"  # both changed the same lines; yours stay
    UNREADABLE = "unreadable"  # could not be parsed; left as it is
    MOVED = "moved"  # yours, at the template's new path
    REMOVED = "removed"  # the template's folder is there no more, and neither are your edits in it
    REHOMED = "rehomed"  # yours, out of a folder that is the template's
    BROKEN = "broken"  # yours, and it needs what is there no more
    RETIRED = "retired"  # the template has it no more; yours stays, because you edited it
    FAILED = "failed"  # a last step, such as uv lock, did not work
    LEFT = "left"  # a last step that the service's own pipeline has to take
    OUT_OF_STEP = "out-of-step"  # another service of the workspace, whose vendor/ is of another version now
    UNSHARED = "unshared"  # two services of a workspace have a vendor/ each, which uv does not take


SHOWN = 80  # characters of a value, at most
BEFORE = 20  # of these, before the first difference of two long values
PERSON = frozenset(Outcome) - {Outcome.KEPT, Outcome.MOVED, Outcome.LEFT}


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision. `path` is the file's, `key` the place in it ("" for the whole file).

    `yours` and `template` are the two texts that it was made between, None where there is none; `patch` is a
    unified diff of what was taken away from the team.
    """

    outcome: Outcome
    path: str = ""
    key: str = ""
    yours: str | None = None
    template: str | None = None
    note: str = ""
    patch: str = ""
    is_acknowledged: bool = False

    @property
    def needs_person(self) -> bool:
        """Whether somebody should look at it; such a rollup ends with exit code 2."""
        return self.outcome in PERSON and not self.is_acknowledged

    @property
    def is_shortened(self) -> bool:
        """Whether the sentence has not all of the two values."""
        values = (self.yours, self.template) if self.key else ()
        return any(len(" ".join(value.split())) > SHOWN for value in values if value)

    @property
    def sentence(self) -> str:
        """The decision in one sentence, without the path: `kept yours: tool.ruff.line-length = 120 (template: 100)`."""
        return _SENTENCES[self.outcome](self)

    def at(self, path: str) -> Decision:
        """The same decision in the file at `path`."""
        return replace(self, path=path)

    def as_data(self) -> dict[str, object]:
        """For JSON reports."""
        return {**asdict(self), "outcome": str(self.outcome), "needs_person": self.needs_person}


@dataclass(frozen=True, slots=True)
class MergedFile:
    """What a merged file becomes, and what was decided about it."""

    content: bytes
    decisions: Sequence[Decision] = ()

    @property
    def is_merged(self) -> bool:
        """Whether the template's changes are in it, so that its last-applied copy may advance."""
        return not any(decision.outcome is Outcome.UNREADABLE for decision in self.decisions)


def shown(value: str | None) -> str:
    """`value` on one line of bearable length."""
    if value is None:
        return "none"
    line = " ".join(value.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 3]}..."


def shown_apart(one: str | None, other: str | None) -> tuple[str, str]:
    """Both values on one line of bearable length, from where they differ if that is beyond what is shown."""
    lines = [None if value is None else " ".join(value.split()) for value in (one, other)]
    pairs = zip(*(line or "" for line in lines), strict=False)
    same = len(list(itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)))
    start = same - BEFORE if same > SHOWN - 2 * BEFORE else 0
    first, second = (shown(line and f"{'...' if start else ''}{line[start:]}") for line in lines)
    return first, second


def _kept(decision: Decision) -> str:
    if not decision.key:
        return f"kept yours: {decision.note}"
    if decision.yours is None:
        return f"kept yours: {decision.key} stays deleted (template: {shown(decision.template)})"
    yours, theirs = shown_apart(decision.yours, decision.template)
    theirs = "has it no more" if decision.template is None else theirs
    return f"kept yours: {decision.key} = {yours} (template: {theirs})"


def _healed(decision: Decision) -> str:
    if not decision.key:
        return decision.note or "put back as the template has it"
    if decision.template is None:
        return f"removed yours: {decision.key} = {shown(decision.yours)} (the template owns this place)"
    yours, theirs = shown_apart(decision.yours, decision.template)
    return f"took the template's: {decision.key} = {theirs} (yours was: {yours})"


def _returned(decision: Decision) -> str:
    if not decision.key:
        return "put back, for the template needs it; you had deleted it"
    return f"put back: {decision.key}, which the template needs and you had deleted"


def _conflict(decision: Decision) -> str:
    theirs = shown(decision.template)
    return (
        f"kept yours: {decision.key}, where the template changed the same lines (template: {theirs}); "
        "put the two together by hand"
    )


_SENTENCES: dict[Outcome, Callable[[Decision], str]] = {
    Outcome.KEPT: _kept,
    Outcome.HEALED: _healed,
    Outcome.RETURNED: _returned,
    Outcome.CONFLICT: _conflict,
    Outcome.UNREADABLE: lambda decision: f"left as it is: {decision.note}",
    Outcome.MOVED: lambda decision: decision.note,
    Outcome.REMOVED: lambda decision: decision.note,
    Outcome.REHOMED: lambda decision: decision.note,
    Outcome.BROKEN: lambda decision: decision.note,
    Outcome.RETIRED: lambda decision: "kept yours: the template has this file no more, but you edited it",
    Outcome.FAILED: lambda decision: decision.note,
    Outcome.LEFT: lambda decision: decision.note,
    Outcome.OUT_OF_STEP: lambda decision: decision.note,
    Outcome.UNSHARED: lambda decision: decision.note,
}

_collected: list[Decision] | None = None


def record(decision: Decision) -> None:
    """Hand `decision` to who collects them; in plain `scaraplate rollup` nobody does, and it is printed."""
    if _collected is not None:
        _collected.append(decision)
    else:
        warn(f"{decision.path}: {decision.sentence}")


@contextmanager
def collected() -> Iterator[list[Decision]]:
    """Collect what is recorded inside, instead of printing it."""
    global _collected
    before, _collected = _collected, []
    try:
        yield _collected
    finally:
        _collected = before
