"""What became of each service: a file a service, written as it comes, so that a run that was killed goes on."""

from __future__ import annotations

import contextlib
import enum
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from twelvefold.errors import FailedError


class TurnOutcome(enum.StrEnum):
    """How a service came out of a run. The values stand in files and pages."""

    IN_STEP = "in step"  # nothing to do
    NONE = "no service"  # a repository that was discovered, and that no template made
    PROPOSED = "proposed"  # a branch, and a request where there is a forge
    PERSON = "needs a person"  # proposed, and somebody has to look; or refused with a sentence
    FAILED = "failed"  # something outside: git, the network, the forge, a time-out
    WOULD_CHANGE = "would change"  # --check
    UNKNOWN = "not looked at"


@dataclass(frozen=True, slots=True)
class Result:
    """What is known of one service after a run."""

    name: str
    url: str
    outcome: TurnOutcome
    sentence: str = ""
    """What happened, for people."""
    version: str = ""
    """The service's on its main branch, before this run."""
    target: str = ""
    """The template's."""
    head: str = ""
    """The commit of the main branch that was looked at."""
    proposal: str = ""
    """The commit of the request's branch after the run; empty without one."""
    request: str = ""
    """The address of the open request."""
    inputs: str = ""
    """A hash of what else decides: the template's content, the ref, the options."""
    drift: tuple[str, ...] = ()
    """Paths that the template owns and that are other than it has them."""
    report: str = ""
    """The last report, as Markdown."""
    at: str = ""
    """When, in UTC, as ISO 8601."""
    seconds: float = 0
    run: str = ""
    """The run that this result is of."""
    versions: tuple[tuple[str, str], ...] = field(default_factory=tuple)
    """Each version that the service was seen at first, and when."""


def without_report(result: Result) -> Result:
    """A small result, for callers that keep those of thousands."""
    return replace(result, report="", drift=())


class Results:
    """The results in a folder.

    A result is whole or not there: it is written beside its place and moved into it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> Result | None:
        """The last result of a service; None if there is none, or none of this version. Raises FailedError."""
        try:
            return _of(json.loads(self._path(key).read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        except OSError as error:
            raise FailedError(f"{self._path(key)} cannot be read: {error.strerror}.") from error

    def put(self, key: str, result: Result) -> Result:
        """Keep a result, with the versions that the service was seen at before; return what was kept."""
        before = self.get(key)
        seen = before.versions if before else ()
        if result.version and (not seen or seen[-1][1] != result.version):
            seen = (*seen, (result.at, result.version))
        kept = replace(result, versions=seen)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self._path(key), json.dumps(asdict(kept), indent=1, ensure_ascii=False))
        except OSError as error:
            raise FailedError(f"{self.folder} cannot be written to: {error.strerror}.") from error
        return kept

    def all(self) -> Iterator[tuple[str, Result]]:
        """Every key with its result."""
        for path in sorted(self.folder.glob("*.json")):
            if result := self.get(path.stem):
                yield path.stem, result

    def of_run(self, run: str) -> dict[str, Result]:
        """The results of one run, by key, without their reports."""
        return {key: without_report(result) for key, result in self.all() if result.run == run}

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"


def _of(content: Mapping[str, Any]) -> Result:
    versions = tuple((at, version) for at, version in content["versions"])
    return Result(
        **{
            **content,
            "outcome": TurnOutcome(content["outcome"]),
            "drift": tuple(content["drift"]),
            "versions": versions,
        }
    )


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place, and move it there: it is whole or not there. Raises OSError."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)  # noqa: PTH105 - a name of tempfile's
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)  # noqa: PTH108
        raise
