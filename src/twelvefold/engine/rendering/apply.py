"""scaraplate.yaml applied to a rendered project: what is written over, what stays, and what is merged.

The four strategies that this template names are applied here, in the rendered project itself. scaraplate's own function
applies any other (`classes`): importing scaraplate imports cookiecutter, which takes longer than all of this.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from twelvefold.decisions import MergedFile, record
from twelvefold.engine.ownership import MERGED
from twelvefold.service import APPLIED, Answer, File, hold_back
from twelvefold.strategies.files import FileRule

OVERWRITE, IF_MISSING = "scaraplate.strategies.Overwrite", "scaraplate.strategies.IfMissing"
MERGED_COPY = "twelvefold.strategies.strategy.Applied"
APPLIED_HERE = frozenset({OVERWRITE, IF_MISSING, MERGED, MERGED_COPY})
CONTEXT = "twelvefold.memory.Answers"


@dataclass(frozen=True, slots=True)
class Onto:
    """What a render is merged with, by the paths that the template has now.

    `files` are the service's merged files; `applied` is what the template said of them the last time. `left_out` maps
    them to the keys that the template's text is read without: see `engine.application`. `read` returns any other
    file of the service, None if it has none.
    """

    files: Mapping[str, bytes]
    applied: Mapping[str, bytes]
    left_out: Mapping[str, Sequence[str]]
    read: Callable[[str], File | None] = lambda _: None

    def by_path(self) -> dict[str, bytes]:
        """All of it as it lies in the service."""
        return {**self.files, **{str(APPLIED / path): copy for path, copy in self.applied.items()}}


@dataclass(frozen=True, slots=True)
class PathRule:
    """What scaraplate.yaml has for a pattern: a class by name, and its configuration."""

    strategy: str
    config: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, node: Any) -> PathRule:
        """`node` as a name, or as a mapping of a name and a configuration."""
        return cls(node["strategy"], node.get("config", {})) if isinstance(node, Mapping) else cls(node)


def are_applied_here(rules: Mapping[str, Any]) -> bool:
    """Whether nothing in scaraplate.yaml asks for a class of somebody else's."""
    names = {
        PathRule.load(node).strategy for node in (rules.get("default_strategy"), *rules["strategies_mapping"].values())
    }
    return names <= APPLIED_HERE and rules.get("cookiecutter_context_type") == CONTEXT


def others(project: Path, rules: Mapping[str, Any], answers: Mapping[str, Answer]) -> list[str]:
    """The rendered paths that a strategy of somebody else's is for."""
    nodes = PathRules.of(rules, answers)
    return [path for path in files_below(project) if nodes.of_path(path).strategy not in APPLIED_HERE]


def apply(project: Path, rules: Mapping[str, Any], answers: Mapping[str, Answer], onto: Onto) -> None:
    """Merge `onto` into the rendered project."""
    replace_links(project)
    nodes = PathRules.of(rules, answers)
    applying = _Applying(project, onto, onto.by_path())
    for path in files_below(project):
        applying.apply(path, nodes.of_path(path))


@dataclass(frozen=True, slots=True)
class PathRules:
    """The rules of scaraplate.yaml, with the answers filled into their patterns."""

    by_pattern: Sequence[tuple[Callable[[str], object], PathRule]]
    default: PathRule

    @classmethod
    def of(cls, rules: Mapping[str, Any], answers: Mapping[str, Answer]) -> PathRules:
        """Raises jinja2's errors for a pattern that cannot be rendered, as for a question that nobody asks."""
        jinja = SandboxedEnvironment(undefined=StrictUndefined)
        nodes = {
            jinja.from_string(pattern).render(cookiecutter=answers) if "{" in pattern else pattern: PathRule.load(node)
            for pattern, node in rules["strategies_mapping"].items()
        }
        pairs = [(matching(pattern), nodes[pattern]) for pattern in sorted(nodes)]
        return cls(pairs, PathRule.load(rules.get("default_strategy")))

    def of_path(self, path: str) -> PathRule:
        """The first that fits, in the order of the patterns' alphabet, as scaraplate has it."""
        return next((node for fits, node in self.by_pattern if fits(path)), self.default)


@dataclass(frozen=True, slots=True)
class _Applying:
    project: Path
    onto: Onto
    here: Mapping[str, bytes]
    done: dict[str, MergedFile] = field(default_factory=dict)

    def apply(self, path: str, node: PathRule) -> None:
        if node.strategy == IF_MISSING and path in self.here:
            self._write(path, self.here[path])
        elif node.strategy == MERGED:
            self._write(path, self._merged(path, node.config).content)
        elif node.strategy == MERGED_COPY and not self._merged(path, node.config).is_merged:
            self._hold_back(path, str(node.config.get("path")))

    def _merged(self, path: str, config: Mapping[str, Any]) -> MergedFile:
        """Merge the file that `config` is of, once; what lies at `path` is what the template says of it now."""
        rule = FileRule.load(config)
        if rule.path not in self.done:
            rule.refuse_unknown_format()
            template = (self.project / path).read_bytes()
            rule = rule.without(self.onto.left_out.get(rule.path, ()))
            merged = rule.merge(self.onto.applied.get(rule.path), template, self.onto.files.get(rule.path))
            self.done[rule.path] = merged
            for decision in merged.decisions:
                record(decision)
        return self.done[rule.path]

    def _hold_back(self, copy: str, path: str) -> None:
        """Leave the last-applied copy as it was: the template's changes are not in the file."""
        base = self.onto.applied.get(path)
        hold_back(self.project, {path: File(base).sha256 if base else ""})
        self._write(copy, base or b"")

    def _write(self, path: str, content: bytes) -> None:
        file = self.project / path
        if file.read_bytes() != content:
            file.write_bytes(content)


@lru_cache(maxsize=1024)
def matching(pattern: str) -> Callable[[str], object]:
    """What says whether a path fits the pattern, as fnmatch does."""
    return re.compile(fnmatch.translate(pattern)).match


def files_below(folder: Path) -> Iterator[str]:
    """The paths of all files below `folder`, from there, sorted."""
    found = []
    for root, _, names in os.walk(folder):
        below = root.removeprefix(str(folder)).removeprefix("/")
        found += [f"{below}/{name}" if below else name for name in names]
    return iter(sorted(found))


def replace_links(folder: Path) -> None:
    """Put what links lead to in place of links, which a hook may have made: a service gets files."""
    links = [Path(folder / path) for path in files_below(folder) if os.path.islink(f"{folder}/{path}")]  # noqa: PTH114
    contents = [(link, link.read_bytes(), link.stat().st_mode & 0o777) for link in links]
    for link, content, mode in contents:
        link.unlink()
        link.write_bytes(content)
        link.chmod(mode)
