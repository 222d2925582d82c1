"""Merging files: bytes, line ends and byte order marks around what `merging` does with texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from twelvefold.decisions import Decision, MergedFile, Outcome
from twelvefold.strategies.formats import format_named
from twelvefold.strategies.lines import newline_of, with_ends
from twelvefold.strategies.merging import Format, OwnMerge, conformed, merge_texts
from twelvefold.strategies.rules import BadRulesError, Path, Rules, key_path
from twelvefold.strategies.three_way import Data

BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
CONFIGURED = ("path", "format", "keys")


@dataclass(frozen=True, slots=True)
class FileRule:
    """How to merge one file, as scaraplate.yaml has it."""

    path: str
    format: str
    rules: Rules
    left_out: tuple[str, ...] = ()
    """What the template's text is read without: keys, as in `rules`, and items of lists: `jobs.check.targets=chart`."""

    @classmethod
    def load(cls, config: Mapping[str, Any]) -> FileRule:
        """Raises BadRulesError with the file's path and what is wrong; of the format, `refuse_unknown_format` does."""
        path = config.get("path")
        if not isinstance(path, str):
            raise BadRulesError(f"scaraplate.yaml: a merged file's config needs its path; it is {dict(config)!r}.")
        unknown = sorted(map(str, set(config) - set(CONFIGURED)))
        if unknown:
            raise BadRulesError(f"scaraplate.yaml: {path}: {unknown[0]} is not one of {', '.join(CONFIGURED)}.")
        try:
            rules = Rules.load(config.get("keys", {}))
        except BadRulesError as error:
            raise BadRulesError(f"scaraplate.yaml: {path}: {error.message}") from error
        return cls(path, str(config.get("format", "")), rules)

    @property
    def form(self) -> Format | OwnMerge:
        """The format, found when it is needed: most runs find nothing to do. Raises BadRulesError."""
        try:
            return format_named(self.format)
        except BadRulesError as error:
            raise BadRulesError(f"scaraplate.yaml: {self.path}: {error.message}") from error

    def refuse_unknown_format(self) -> None:
        """Raise BadRulesError if the format is not there, also where nothing is to be merged yet."""
        _ = self.form

    def without(self, keys: Sequence[str]) -> FileRule:
        """The same rules for a file whose template is read without `keys`."""
        return replace(self, left_out=tuple(keys))

    def merge(self, base: bytes | None, template: bytes, service: bytes | None) -> MergedFile:
        """Merge the file's three contents; None is a file that is not there."""
        if self.left_out:
            same, template = base == template, self.reduced(template)
            base = template if same else base and self.reduced(base)
        if service is None:
            return MergedFile(template, [] if base is None else [Decision(Outcome.RETURNED, self.path)])
        if service in (base, template):
            return MergedFile(template)
        try:
            return self._merge(base, template, service)
        except UnicodeDecodeError as error:
            note = f"it is not UTF-8 (byte {error.start}). Save it as UTF-8 and update again"
            return MergedFile(service, [Decision(Outcome.UNREADABLE, self.path, note=note)])

    def reduced(self, content: bytes) -> bytes:
        """A text of the template's without what is left out. Raises BadRulesError if that cannot be."""
        text = content.decode(errors="replace").removeprefix(BOM)
        form = self.form
        if not isinstance(form, OwnMerge):
            wanted = _without(form.load(text), [_parted(key) for key in self.left_out])
            reduced = conformed(form, text, wanted, (), self.rules)
            if reduced is not None:
                return reduced.encode()
        keys = ", ".join(self.left_out)
        raise BadRulesError(f"scaraplate.yaml: application: {self.path} cannot be read without {keys}.")

    def _merge(self, base: bytes | None, template: bytes, service: bytes) -> MergedFile:
        ours = service.decode()
        newline = newline_of(ours)
        merged = merge_texts(
            self.form,
            None if base is None else _template_s(base.decode(errors="replace"), newline),
            _template_s(template.decode(), newline),
            ours.removeprefix(BOM),
            self.rules,
        )
        mark = BOM if ours.startswith(BOM) else ""
        decisions = [replace(decision, path=self.path) for decision in merged.decisions]
        return MergedFile(f"{mark}{merged.text}".encode(), decisions)


def _parted(key: str) -> tuple[Path, str]:
    """A key's path, and the item of the list there that is meant, "" for the whole."""
    path, _, item = key.partition("=")
    return key_path(path), item


def _without(data: Data, keys: Sequence[tuple[Path, str]]) -> Data:
    """The data without these; what is not there is not missed."""
    for path, item in keys:
        data = _less(data, path, item)
    return data


def _less(data: Data, path: Path, item: str) -> Data:
    if not path:
        return [one for one in data if one != item] if isinstance(data, list) else data
    if not isinstance(data, dict) or path[0] not in data:
        return data
    if len(path) == 1 and not item:
        return {key: value for key, value in data.items() if key != path[0]}
    return {**data, path[0]: _less(data[path[0]], path[1:], item)}


def _template_s(text: str, newline: str) -> str:
    return with_ends(text.removeprefix(BOM), newline)
