"""Which migrations there are, read without Alembic: a service that serves need not import it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

NAMES = frozenset({"revision", "down_revision", "branch_labels", "depends_on"})


class Revision(NamedTuple):
    """One migration: what it is called, and what must have been done before it."""

    id: str
    labels: tuple[str, ...]
    down: tuple[str, ...]
    depends_on: tuple[str, ...]


class History:
    """The migrations in `folders`."""

    def __init__(self, folders: Iterable[Path]) -> None:
        found = [revision for folder in folders for revision in revisions(folder)]
        self._by_id = {revision.id: revision for revision in found}
        self._labelled = {label: revision.id for revision in found for label in revision.labels}

    def __contains__(self, id_: str) -> bool:
        return id_ in self._by_id

    @cached_property
    def heads(self) -> frozenset[str]:
        """The last migration of each branch."""
        followed = {id_ for revision in self._by_id.values() for id_ in revision.down}
        return frozenset(self._by_id.keys() - followed)

    def missing(self, applied: Iterable[str]) -> frozenset[str]:
        """The heads that a database has not got which says that it is at `applied`.

        A revision that is not known here was made by a newer version of the service, which is migrated before it is
        started: it is taken to be later than one head of which nothing else is there.
        """
        applied = set(applied)
        done = self._with_ancestors(applied)
        missing = self.heads - done
        untouched = [head for head in sorted(missing) if not self._with_ancestors({head}) & done]
        return missing - set(untouched[: len(applied - self._by_id.keys())])

    def unknown(self, applied: Iterable[str]) -> frozenset[str]:
        """Those of `applied` that no migration here has as its name."""
        return frozenset(set(applied) - self._by_id.keys())

    def _with_ancestors(self, ids: set[str]) -> set[str]:
        found: set[str] = set()
        waiting = [*ids]
        while waiting:
            id_ = waiting.pop()
            revision = self._by_id.get(self._labelled.get(id_, id_))
            if revision and revision.id not in found:
                found.add(revision.id)
                waiting += [*revision.down, *revision.depends_on]
        return found


def revisions(folder: Path) -> Iterator[Revision]:
    """The migrations whose files are in `folder`. Raises SyntaxError for a file that is no Python."""
    for file in sorted(folder.glob("*.py")):
        said = dict(_constants(ast.parse(file.read_bytes(), file.name)))
        if "revision" in said:
            down, depends_on = said.get("down_revision", ()), said.get("depends_on", ())
            yield Revision(said["revision"][0], said.get("branch_labels", ()), down, depends_on)


def _constants(module: ast.Module) -> Iterator[tuple[str, tuple[str, ...]]]:
    for statement in module.body:
        if isinstance(statement, ast.AnnAssign):
            targets, value = [statement.target], statement.value
        elif isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value  # type: ignore[assignment] # any of them is a target
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name) and target.id in NAMES and value is not None:
                yield target.id, _strings(ast.literal_eval(value))


def _strings(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)  # type: ignore[arg-type] # Alembic takes lists, too
