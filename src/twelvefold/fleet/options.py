"""What was typed after each command of the fleet: the fields are named as click names the options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposeOptions:
    """Those of `twelvefold propose`, which a service's own pipeline runs."""

    service: Path
    template: str | None
    ref: str | None
    answers: Mapping[str, str]
    branch: str
    forge: str | None
    forge_url: str | None
    token: str | None
    """The name of the variable that holds the token, not the token."""
    token_file: str | None
    check: bool
    heal: bool
    no_lock: bool
    timeout: float
    """In seconds."""
    reports: tuple[Path, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """What all commands of `twelvefold fleet` have in common: which fleet, and which of its services."""

    file: Path
    state: Path | None
    token_file: str | None
    only: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where results and clones are kept."""
        return (self.state or self.file.parent / ".fleet").resolve()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(FleetOptions):
    """What the commands that go through the services, wave by wave, have in common."""

    check: bool
    wave: str | None
    shard: str | None
    jobs: int
    max_failures: float | None
    """The share of a wave's services that may fail, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRollupOptions(RunOptions):
    """Those of `twelvefold fleet rollup`."""

    ref: str | None
    only_failed: bool
    resume: bool
    no_lock: bool
    build: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRunOptions(RunOptions):
    """Those of `twelvefold fleet run`."""

    branch: str
    title: str | None
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStatusOptions(FleetOptions):
    """Those of `twelvefold fleet status`."""

    as_json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetReportOptions(FleetOptions):
    """Those of `twelvefold fleet report`."""

    output: Path
    title: str
