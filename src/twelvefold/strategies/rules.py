"""Whose a key is: the rules that scaraplate.yaml gives a merged file, checked when they are loaded."""

from __future__ import annotations

import enum
import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import click

from twelvefold.console import ExitCode

Path = tuple[str, ...]
SEGMENT = re.compile(r'"([^"]*)"|([^".]+)')
KEY_PATH = re.compile(r'(?:(?:"[^"]*"|[^".]+)(?:\.(?!$)|$))*')


class BadRulesError(click.ClickException):
    """scaraplate.yaml cannot be used. Printed by click as one sentence; exit code 2."""

    exit_code = ExitCode.PERSON


class Kind(enum.StrEnum):
    """Who decides about a key."""

    OWNED = "owned"  # the template, always
    TEAM = "team"  # the team, after the template wrote it once
    DEFAULT = "default"  # the template, unless the team changed it
    MEMBERS = "members"  # a set: the template's are in it, and the team's


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule; `by` names what a member of a list is known by: keys of mappings, "value" or "requirement"."""

    kind: Kind
    by: tuple[str, ...] = ()


DEFAULT = Rule(Kind.DEFAULT)


@dataclass(frozen=True)
class Rules:
    """The rules of one file: patterns of key paths, `*` for any one key. The most particular pattern decides.

    A key without a pattern of its own follows the nearest one above it; what lies in a member is *default*.
    """

    patterns: Mapping[Path, Rule] = field(default_factory=dict)

    @classmethod
    def load(cls, keys: object) -> Rules:
        """Read `keys` as scaraplate.yaml has them: `{"tool.ruff.*": "owned", "repos": {"members": ["repo"]}}`.

        Raises BadRulesError with the pattern that is wrong and what would be right.
        """
        if not isinstance(keys, Mapping):
            raise BadRulesError(f"keys must map key paths to rules, such as tool.ruff: default; it is {keys!r}.")
        return cls({key_path(name): _rule(name, value) for name, value in keys.items()})

    def at(self, path: Path) -> Rule:
        """The rule for the key at `path`."""
        return _found(self, path)

    def forces_below(self, path: Path) -> bool:
        """Whether the template insists on anything at or under `path`, whatever the team did to what is above."""
        return any(
            rule.kind in {Kind.OWNED, Kind.MEMBERS} and _overlap(pattern, path)
            for pattern, rule in self.patterns.items()
        )

    def __hash__(self) -> int:
        return id(self)


def key_path(name: object) -> Path:
    """Split `tool."a.b".*` into its keys; "" is the whole file. Raises BadRulesError if it cannot be."""
    if not isinstance(name, str) or not KEY_PATH.fullmatch(name):
        raise BadRulesError(
            f'{name!r} is no key path; write keys with dots between, quoted where they hold one: "a.b".c'
        )
    return tuple(quoted or plain for quoted, plain in SEGMENT.findall(name))


def shown_path(path: Iterable[str]) -> str:
    """The inverse of `key_path`, for people."""
    return ".".join(f'"{key}"' if "." in key else key for key in path)


def _rule(name: object, value: object) -> Rule:
    if isinstance(value, str) and value in list(Kind):
        return Rule(Kind(value))
    if isinstance(value, Mapping) and list(value) == ["members"]:
        by: Any = value["members"]
        names = [by] if isinstance(by, str) else by
        if isinstance(names, list) and names and all(isinstance(one, str) for one in names):
            return Rule(Kind.MEMBERS, tuple(names))
    raise BadRulesError(
        f"{name}: {value!r} is no rule. Write owned, team, default, members (of a mapping), or "
        "{members: value}, {members: requirement}, {members: [id, name]} (of a list)."
    )


@lru_cache(maxsize=4096)
def _found(rules: Rules, path: Path) -> Rule:
    for length in range(len(path), -1, -1):
        fitting = [pattern for pattern in rules.patterns if len(pattern) == length and _fits(pattern, path[:length])]
        if fitting:
            rule = rules.patterns[min(fitting, key=lambda pattern: [key == "*" for key in pattern])]
            return rule if length == len(path) or rule.kind is not Kind.MEMBERS else DEFAULT
    return DEFAULT


def _fits(pattern: Path, path: Path) -> bool:
    return all(fnmatch.fnmatchcase(key, wanted) for wanted, key in zip(pattern, path, strict=True))


def _overlap(pattern: Path, path: Path) -> bool:
    shorter = min(len(pattern), len(path))
    return len(pattern) >= len(path) and _fits(pattern[:shorter], path[:shorter])
