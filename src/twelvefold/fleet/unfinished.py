"""The run that goes on, on disk: one that was killed is resumed as it was begun."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from twelvefold.errors import FailedError, RefusedError
from twelvefold.fleet.options import FleetRollupOptions
from twelvefold.fleet.results import write_whole

CHOICES = ("build", "check", "max_failures", "no_lock", "only", "only_failed", "ref", "shard", "wave")
"""The options that say what a run does, and to whom."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A run: its name, its options, and the template's newest release when it was begun."""

    run: str
    options: FleetRollupOptions
    newest: str | None = None


class Unfinished:
    """The file of the run that goes on. It is there from the run's begin to its end."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, begun: Begun) -> None:
        """Write the run down. Raises FailedError."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, json.dumps(_as_data(begun)))
        except OSError as error:
            raise FailedError(f"{self._path} cannot be written: {error.strerror}.") from error

    def forget(self) -> None:
        """The run came to its end."""
        self._path.unlink(missing_ok=True)

    def resumed(self, options: FleetRollupOptions) -> Begun:
        """The run that did not come to its end. Raises RefusedError if there is none, or if `options` say another."""
        if given := [name for name in CHOICES if _is_given(getattr(options, name))]:
            raise RefusedError(
                f"--resume goes on with the run as it was begun. Leave --{given[0].replace('_', '-')} out."
            )
        try:
            begun = json.loads(self._path.read_text(encoding="utf-8"))
            chosen = {name: begun["options"][name] for name in CHOICES}
            chosen["only"] = tuple(chosen["only"])
            return Begun(begun["run"], replace(options, **chosen), begun["newest"])
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            raise RefusedError(
                "No run was interrupted: there is nothing to resume. Begin one: twelvefold fleet rollup"
            ) from error


def _is_given(value: object) -> bool:
    return value is not None and value is not False and value != ()


def _as_data(begun: Begun) -> dict[str, Any]:
    chosen = {name: getattr(begun.options, name) for name in CHOICES}
    return {"run": begun.run, "options": chosen, "newest": begun.newest}
