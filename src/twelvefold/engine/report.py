"""What a rollup did, for a terminal, for a merge request and for programs."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from twelvefold.decisions import Decision, Outcome
from twelvefold.engine.changelog import below, between
from twelvefold.engine.rollup import Rollup
from twelvefold.engine.transaction import Change
from twelvefold.errors import FailedError, RefusedError
from twelvefold.service import File, is_memory

MOST_LINES = 40
"""So many files are told one by one on a terminal."""


@dataclass(frozen=True, slots=True)
class Report:
    """One rollup of one service, from version `old` to version `new`; `was_applied` is false for a dry run.

    `old` is "" where the service had no template.
    """

    service: str
    template: str
    old: str
    new: str
    commit: str
    changes: Sequence[Change]
    decisions: Sequence[Decision]
    notes: Sequence[str]
    was_applied: bool
    changelog: str = ""
    """What the template's changelog says of the versions since `old`, as Markdown."""

    @property
    def open(self) -> list[Decision]:
        """The decisions that a person should look at."""
        return [decision for decision in self.decisions if decision.needs_person]

    @property
    def settled(self) -> list[Decision]:
        """The other decisions."""
        return [decision for decision in self.decisions if not decision.needs_person]

    def files(self) -> list[tuple[str, str]]:
        """Each changed file with added, changed or deleted, without the rollup's own memory."""
        return [(change_word(change), change.path) for change in self.changes if not is_memory(change.path)]

    def headline(self) -> str:
        """`pay-api: 0.1.0 → 0.2.0`."""
        return (
            f"{self.service}: {self.old} → {self.new}"
            if self.old not in {"", self.new}
            else f"{self.service}: {self.new}"
        )

    def summary(self) -> str:
        """How much happened, in one sentence or two."""
        if not self.changes:
            counted = "Nothing to do"
        else:
            files = self.files()
            counts = {word: len([1 for one, _ in files if one == word]) for word in ("added", "changed", "deleted")}
            parts = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
            would = "" if self.was_applied else " would change"
            counted = f"{_many(len(files), 'file')}{would}: {parts}" if files else "Only the rollup's memory changes"
        return f"{counted}. {self._asks()}".strip()

    def _asks(self) -> str:
        return f"{_many(len(self.open), 'decision')} to look at." if self.open else ""


def report_of(rollup: Rollup, *, was_applied: bool) -> Report:
    """The report of a rollup."""
    old = rollup.service.stamp.get("version", "an unknown version") if rollup.service.stamp else ""
    is_other = not rollup.plan.is_empty and old not in {"", rollup.version}
    return Report(
        service=str(rollup.service.answers.get("project_slug") or rollup.service.root.name),
        template=rollup.template.url,
        old=old,
        new=rollup.version,
        commit=rollup.template.commit,
        changes=rollup.plan.changes,
        decisions=rollup.plan.decisions,
        notes=rollup.plan.notes,
        was_applied=was_applied,
        changelog=between(rollup.template.changelog(), old, rollup.version) if is_other else "",
    )


def change_word(change: Change) -> str:
    """What happens to the file."""
    if change.before is None:
        return "added"
    return "deleted" if change.after is None else "changed"


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def as_json(report: Report) -> str:
    """The report for programs; keys are added over time, none is taken away."""
    return json.dumps(
        {
            "service": report.service,
            "template": report.template,
            "from": report.old,
            "to": report.new,
            "commit": report.commit,
            "applied": report.was_applied,
            "needs_person": bool(report.open),
            "files": {path: word for word, path in report.files()},
            "decisions": [{**decision.as_data(), "sentence": decision.sentence} for decision in report.decisions],
            "notes": list(report.notes),
            "changelog": report.changelog,
        },
        indent=2,
        ensure_ascii=False,
    )


def as_markdown(report: Report) -> str:
    """The report for the description of a merge request."""
    parts = [f"# {report.headline()}", _intro(report)]
    if report.open:
        parts.append("## Please look at\n\n" + "\n".join(_item(decision) for decision in report.open))
    if report.settled:
        parts.append("## Decided by the rules\n\n" + "\n".join(_item(decision) for decision in report.settled))
    if report.notes:
        parts.append("## Questions\n\n" + "\n".join(f"- {_escaped(note)}" for note in report.notes))
    if report.changelog:
        parts.append(_folded("What is new in the template", below(report.changelog, 1)))
    if report.files():
        rows = "\n".join(f"- {word} {_code(path)}" for word, path in report.files())
        parts.append(_folded(_many(len(report.files()), "file"), rows))
    return "\n\n".join(parts) + "\n"


def _folded(title: str, text: str) -> str:
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def _intro(report: Report) -> str:
    verb = "This brings" if report.was_applied else "An update would bring"
    target = f"{verb} the service to version {report.new} of the template {report.template}"
    return f"{target} (commit {report.commit[:12]}). {report.summary()}"


def _item(decision: Decision) -> str:
    lines = [f"- {_code(decision.path)}: {_escaped(decision.sentence)}"]
    if decision.patch:
        lines.append(_details("what was taken away", decision.patch, "diff"))
    elif decision.outcome is Outcome.CONFLICT:
        lines.append(_details("yours", decision.yours or "", ""))
        lines.append(_details("the template's", decision.template or "", ""))
    elif decision.is_shortened:
        lines.append(_details("what is other", _difference(decision), "diff"))
    return "\n".join(lines)


def _difference(decision: Decision) -> str:
    """Yours and the template's as a diff, member by member if they are lists or tables."""
    yours, template = (_spread(text or "") for text in (decision.yours, decision.template))
    return "\n".join(difflib.unified_diff(yours, template, "yours", "template", n=0, lineterm=""))


def _spread(text: str) -> list[str]:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False).splitlines()
    except ValueError:
        return text.splitlines()


def _details(title: str, text: str, language: str) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    body = "\n".join(f"  {line}".rstrip() for line in [f"{fence}{language}", *text.splitlines(), fence])
    return f"  <details><summary>{title}</summary>\n\n{body}\n\n  </details>"


def _code(text: str) -> str:
    return f"`{text}`" if "`" not in text else f"`` {text} ``"


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_<>\[\]#|~])", r"\\\1", " ".join(text.split()))


WRITERS = {".md": as_markdown, ".json": as_json}


def refuse_unknown(path: Path) -> None:
    """Raise RefusedError if the name does not end in what a report can be, or its folder is not there."""
    if path.suffix not in WRITERS:
        raise RefusedError(f"{path}: a report is FILE.md or FILE.json.")
    if not path.parent.is_dir():
        raise RefusedError(f"{path.parent} is no folder. Make it: mkdir -p {path.parent}")


def write(report: Report, path: Path) -> None:
    """Write the report as Markdown or JSON, by the name's ending. Raises RefusedError for another."""
    refuse_unknown(path)
    try:
        path.write_text(WRITERS[path.suffix](report), encoding="utf-8")
    except OSError as error:
        raise FailedError(f"{path} cannot be written: {error.strerror}.") from error


def as_memo(report: Report) -> dict[str, Any]:
    """The report as the journal of an update keeps it: it knows which files change, not what is in them."""
    changes = [(one.path, one.before is not None, one.after is not None) for one in report.changes]
    decisions = [asdict(decision) for decision in report.decisions]
    names = ("service", "template", "old", "new", "commit", "was_applied", "changelog")
    plain = {name: getattr(report, name) for name in names}
    return {**plain, "notes": list(report.notes), "changes": changes, "decisions": decisions}


def of_memo(memo: Mapping[str, Any]) -> Report:
    """The report that `as_memo` kept; its changed files are empty. Raises KeyError, TypeError or ValueError."""
    changes = [
        Change(path, File(b"") if before else None, File(b"") if after else None)
        for path, before, after in memo["changes"]
    ]
    decisions = [Decision(**{**one, "outcome": Outcome(one["outcome"])}) for one in memo["decisions"]]
    return Report(**{**memo, "changes": changes, "decisions": decisions})


def commit_message(report: Report) -> str:
    """The message of the commit that a rollup makes."""
    versions = f"{report.old} to {report.new}" if report.old not in {"", report.new} else report.new
    title = f"chore: {'update from' if report.old else 'adopt'} the template, {versions}"
    body = "\n".join(f"- {decision.path}: {decision.sentence}" for decision in report.decisions)
    return f"{title}\n\n{report.summary()}\n\n{body}".rstrip() + "\n"


def grouped(files: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The files for a terminal: of more than fit there, a folder whose files all fared alike is one line."""
    if len(files) <= MOST_LINES:
        return [*files]
    fates: dict[str, list[str]] = {}
    for word, path in files:
        fates.setdefault(_folder(path), []).append(word)
    alike = {folder: words for folder, words in fates.items() if folder and len(words) > 1 and len({*words}) == 1}
    found = [
        (word, f"{folder}/ ({_many(len(alike[folder]), 'file')})" if (folder := _folder(path)) in alike else path)
        for word, path in files
    ]
    return [*dict.fromkeys(found)]


def _folder(path: str) -> str:
    """The folder that a path is told with, such as vendor/chassis; "" for one higher up."""
    return "/".join(parts[:2]) if len(parts := path.split("/")) > 2 else ""


def lines(report: Report) -> Iterable[tuple[str, str]]:
    """The report for a terminal: pairs of a kind (title, file, open, settled, note, summary) and a line."""
    yield "title", report.headline()
    for word, path in grouped(report.files()):
        yield word, f"  {word:<8} {path}"
    for decision in report.settled:
        yield "settled", f"{decision.path}: {decision.sentence}"
    for note in report.notes:
        yield "note", note
    for decision in report.open:
        yield "open", f"{decision.path}: {decision.sentence}"
    yield "summary", report.summary()
