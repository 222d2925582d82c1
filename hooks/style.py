"""The style that a service is held to between two updates, for nitpick: made of merge rules and rendered values.

Part of hooks/post_gen_project.py. What the rules in scaraplate.yaml leave to the template is in the style: single
values that are *owned*, members of lists of *members: value*, and the hooks of .pre-commit-config.yaml. What they leave
to the team (*team*, *default*) is not. nitpick sees what is missing or different, never what was added; so
requirements, whose bounds a team writes, and owned lists are left to the update.
"""

from __future__ import annotations

import fnmatch
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

SEGMENT = re.compile(r'"([^"]*)"|([^".]+)')
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
HOOKS = ".pre-commit-config.yaml"
# Files that tools would read instead of pyproject.toml, or that a service has no use for.
FORBIDDEN = {
    ".coveragerc": "its settings go into [tool.coverage] of pyproject.toml",
    ".flake8": "ruff does what flake8 did",
    ".isort.cfg": "ruff does what isort did",
    ".mypy.ini": "its settings go into [tool.mypy] of pyproject.toml",
    ".pylintrc": "ruff does what pylint did",
    ".ruff.toml": "its settings go into [tool.ruff] of pyproject.toml",
    "mypy.ini": "its settings go into [tool.mypy] of pyproject.toml",
    "poetry.lock": "uv.lock is the lock",
    "pytest.ini": "its settings go into [tool.pytest] of pyproject.toml",
    "requirements.txt": "dependencies go into pyproject.toml, their versions into uv.lock",
    "ruff.toml": "its settings go into [tool.ruff] of pyproject.toml",
    "setup.cfg": "its settings go into pyproject.toml",
    "setup.py": "uv_build builds the package from pyproject.toml",
    "tox.ini": "make runs what tox ran",
}

Key = tuple[str, ...]
Rules = Mapping[Key, object]


def style(configs: list[Mapping[str, Any]], folder: Path) -> str:
    """The style as TOML; `configs` are those of the merged files in scaraplate.yaml, `folder` is the render."""
    parts = [_table(("nitpick", "files", "absent"), FORBIDDEN)]
    for config in configs:
        path = folder / config["path"]
        rules = {_split(pattern): rule for pattern, rule in config.get("keys", {}).items()}
        if config["format"] == "toml" and path.is_file():
            found = dict(guarded(tomllib.loads(path.read_text(encoding="utf-8")), rules))
            tables = {key[:-1]: None for key in found}
            parts += [
                _table((config["path"], *table), {key[-1]: found[key] for key in found if key[:-1] == table})
                for table in tables
            ]
        if config["path"] == HOOKS and path.is_file():
            repos = yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)["repos"]  # noqa: S506 - it is a safe one
            parts += [_hook(repo["repo"], hook) for repo in repos for hook in repo["hooks"]]
    return "\n".join(parts)


def guarded(data: object, rules: Rules, path: Key = ()) -> Iterator[tuple[Key, object]]:
    """The keys of `data` that a service must have, with their values. Raises ValueError for one that nitpick misses."""
    rule = _rule(rules, path)
    if isinstance(data, dict):
        for key, value in data.items():
            yield from guarded(value, rules, (*path, key))
    elif isinstance(data, list):
        if rule == {"members": "value"} and data:
            yield path, data
    elif rule == "owned":
        if not data:  # nitpick takes a difference from false, 0 or "" for none
            raise ValueError(f"{'.'.join(path)} is {data!r}, which nitpick cannot guard")
        yield path, data


def _split(pattern: str) -> Key:
    return tuple(quoted or plain for quoted, plain in SEGMENT.findall(pattern))


def _rule(rules: Rules, path: Key) -> object:
    """The rule of the most particular pattern for `path`, or for the nearest key above it that has one."""
    for length in range(len(path), -1, -1):
        fitting = [pattern for pattern in rules if len(pattern) == length and _fits(pattern, path)]
        if fitting:
            rule = rules[min(fitting, key=lambda pattern: [key == "*" for key in pattern])]
            is_member = length < len(path) and (rule == "members" or isinstance(rule, dict))
            return "default" if is_member else rule
    return "default"


def _fits(pattern: Key, path: Key) -> bool:
    return all(fnmatch.fnmatchcase(key, wanted) for wanted, key in zip(pattern, path, strict=False))


def _hook(repo: str, hook: Mapping[str, object]) -> str:
    """A hook as a repository of its own: nitpick asks for one repository that has it, whatever else is in that."""
    return f"{_table((HOOKS, 'repos'), {'repo': repo}, '[[{}]]')}\n{_table((HOOKS, 'repos', 'hooks'), hook, '[[{}]]')}"


def _table(name: Key, values: Mapping[str, object], header: str = "[{}]") -> str:
    lines = [f"{_name(key)} = {_value(value)}" for key, value in values.items()]
    return "\n".join([header.format(".".join(_name(key) for key in name)), *lines, ""])


def _name(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)  # texts, numbers, booleans and lists of these are the same in TOML
