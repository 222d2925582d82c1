"""From `fleet.toml` to jobs: every repository that it lists, finds or discovers, once, in waves and shards."""

from __future__ import annotations

import glob
import hashlib
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path

from twelvefold.errors import RefusedError
from twelvefold.fleet.config import Config, Declared, Wave
from twelvefold.repository_url import is_remote, on_forge, without_suffix
from twelvefold.service import Answer

SHOWN = 5
"""So many names are in a sentence, at most."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One service of the fleet."""

    key: str
    """Its own among all, and a file's name."""
    name: str
    url: str
    folder: str = ""
    wave: str | None = None
    ref: str | None = None
    answers: Mapping[str, Answer] = field(default_factory=dict)
    heal: bool = False
    is_discovered: bool = False
    """Found on a forge, so that it may be no service."""

    @property
    def place(self) -> int:
        """A number that depends on the key alone: who is in the first tenth."""
        return int(self._hash[:8], 16)

    @property
    def part(self) -> int:
        """Another: which shard. It has nothing to do with `place`, so that each wave is spread over all shards."""
        return int(self._hash[8:16], 16)

    @property
    def _hash(self) -> str:
        return hashlib.sha256(self.key.encode()).hexdigest()


def listed(config: Config, base: Path, discovered: Iterable[Declared] = ()) -> list[Listed]:
    """All services, by name; one that is named twice is taken as it is named first.

    :param base: the folder that paths are relative to.

    Raises RefusedError for a pattern that finds nothing.
    """
    found: dict[tuple[str, str], Listed] = {}
    skipped: set[tuple[str, str]] = set()
    of_two_kinds = ((False, config.services), (True, discovered))
    for is_discovered, declared in ((kind, one) for kind, several in of_two_kinds for one in several):
        for url in _urls(declared.url, base):
            same = (identity(url), declared.folder)
            if declared.skip:
                skipped.add(same)
            if same not in found:
                found[same] = replace(_listed(url, declared), is_discovered=is_discovered)
    return sorted((one for same, one in found.items() if same not in skipped), key=_by_name)


def _by_name(one: Listed) -> tuple[str, str]:
    return one.name, one.key


def identity(url: str) -> str:
    """What is the same for all ways to write a repository's address: https and ssh, with `.git` and without."""
    found = on_forge(url)
    return "/".join(found).partition("://")[2] if found else without_suffix(url)


def _listed(url: str, declared: Declared) -> Listed:
    key = key_of(url, declared.folder)
    name = "/".join(filter(None, [_name(url), declared.folder]))
    return Listed(key, name, url, declared.folder, declared.wave, declared.ref, dict(declared.answers), declared.heal)


def key_of(url: str, folder: str) -> str:
    """A short name for a repository's service, good for a file, and its own among all."""
    readable = re.sub(r"[^a-z0-9]+", "-", f"{_name(url)} {folder}".lower()).strip("-")[:40]
    return f"{readable}-{hashlib.sha256(f'{identity(url)} {folder}'.encode()).hexdigest()[:8]}".lstrip("-")


def _name(url: str) -> str:
    return re.split(r"[/:]", without_suffix(url))[-1]


def _urls(url: str, base: Path) -> list[str]:
    if is_remote(url):
        return [url]
    # Texts: it may be a pattern, and Path's own raise.
    path = os.path.normpath(os.path.join(base, os.path.expanduser(url)))  # noqa: PTH111, PTH118
    if not glob.has_magic(path):
        return [path]
    found = sorted(glob.glob(path))  # noqa: PTH207
    if not found:
        raise RefusedError(f"The pattern {url} finds no repository. Fix it in fleet.toml; it is relative to {base}.")
    return found


def in_waves(services: Sequence[Listed], waves: Sequence[Wave]) -> list[tuple[Wave, list[Listed]]]:
    """Each wave with its services: those that say so themselves, then those that its patterns or its share take.

    The last wave takes all that are left if it says nothing of whom it takes.
    """
    left = [one for one in services if one.wave is None]
    planned = []
    for number, wave in enumerate(waves, start=1):
        own = [one for one in services if one.wave == wave.name]
        is_rest = number == len(waves) and wave.takes_who_names_it
        taken = left if is_rest else _taken(left, wave, total=len(services))
        keys = {one.key for one in taken}
        left = [one for one in left if one.key not in keys]
        planned.append((wave, sorted([*own, *taken], key=_by_name)))
    return planned


def _taken(left: Sequence[Listed], wave: Wave, *, total: int) -> list[Listed]:
    if wave.takes_who_names_it:
        return []
    named = [one for one in left if not wave.services or _matches(one, wave.services)]
    if wave.share is None:
        return named
    wanted = math.ceil(round(wave.share * total, 6)) or 1  # 0.07 * 100 is a little more than 7
    return sorted(named, key=lambda one: (one.place, one.key))[:wanted]


def _matches(one: Listed, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(one.name, pattern) for pattern in patterns)


Planned = Sequence[tuple[Wave, Sequence[Listed]]]


def refuse_unproved(services: Sequence[Listed], planned: Planned) -> None:
    """Raise RefusedError if a service is in no wave, or if a wave would begin with nothing proved by those before.

    :param planned: `services`, all of the fleet, in waves.
    """
    for name, pattern in [(wave.name, pattern) for wave, _ in planned for pattern in wave.services]:
        if not any(_matches(one, [pattern]) for one in services):
            raise RefusedError(
                f"{pattern!r} in the wave {name} names no service of the fleet, so that the wave proves less than "
                "it should. Correct it in fleet.toml; to see the names: twelvefold fleet status"
            )
    _refuse_left_out(services, planned)
    _refuse_empty(planned)


def _refuse_left_out(services: Sequence[Listed], planned: Planned) -> None:
    taken = {one.key for _, members in planned for one in members}
    if left := [one.name for one in services if one.key not in taken]:
        names = ", ".join(left[:SHOWN]) + (", ..." if len(left) > SHOWN else "")
        who = f"{len(left)} services are" if len(left) > 1 else "1 service is"
        raise RefusedError(
            f"{who} in no wave, and would never be rolled up: {names}. Add this to fleet.toml after the last wave: "
            '[[waves]] name = "rest"'
        )


def _refuse_empty(planned: Planned) -> None:
    """A wave of a share alone may be empty if others came before it: there is nobody left for it then."""
    sizes = [len(members) for _, members in planned]
    for number, (wave, members) in enumerate(planned):
        is_left_over = wave.share is not None and not wave.services and any(sizes[:number])
        if not members and any(sizes[number + 1 :]) and not is_left_over:
            after = next(later.name for later, then in planned[number + 1 :] if then)
            raise RefusedError(
                f"The wave {wave.name} has nobody in it: its services are skipped, found nowhere, or in other waves. "
                f"{after} would begin with nothing proved. Give {wave.name} a service in fleet.toml, or take it out."
            )


def of_shard(services: Iterable[Listed], shard: str) -> list[Listed]:
    """The services of one shard, `i/n`: every service is in one of the n. Raises RefusedError."""
    parts = re.fullmatch(r"(\d+)/(\d+)", shard)
    if not parts or not 1 <= int(parts[1]) <= int(parts[2]):
        raise RefusedError(f"--shard takes I/N, such as 1/4 and so on to 4/4; it was given {shard!r}.")
    number, of = int(parts[1]), int(parts[2])
    return [one for one in services if one.part % of == number - 1]


def only(services: Sequence[Listed], patterns: Sequence[str]) -> list[Listed]:
    """Those that one of the patterns names. Raises RefusedError for a pattern that names none."""
    for pattern in patterns:
        if not any(_matches(one, [pattern]) for one in services):
            raise RefusedError(f"--only {pattern} names no service of the fleet. See them: twelvefold fleet status")
    return [one for one in services if not patterns or _matches(one, patterns)]
