"""What was typed after each command: the fields are named as click names the options, and the defaults are click's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateOptions:
    """What all commands that change a service have in common."""

    template: str | None
    ref: str | None
    answers: Mapping[str, str]
    reports: tuple[Path, ...]
    branch: str | None
    commit: bool
    no_lock: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RollupOptions(UpdateOptions):
    """Those of `twelvefold rollup`."""

    service: Path
    check: bool
    diff: bool
    heal: bool
    allow_downgrade: bool

    @property
    def is_dry(self) -> bool:
        """Whether nothing is to be changed."""
        return self.check or self.diff


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptOptions(UpdateOptions):
    """Those of `twelvefold adopt`."""

    repository: Path
    yes: bool
    no_input: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusOptions:
    """Those of `twelvefold status`."""

    service: Path
    template: str | None
    as_json: bool
