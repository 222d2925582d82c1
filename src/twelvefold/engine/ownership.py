"""What scaraplate.yaml says beyond scaraplate: the rules of merged files, and what a service must follow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twelvefold.errors import RefusedError
from twelvefold.service import Answer, refuse_outside
from twelvefold.strategies.files import FileRule

MERGED = "twelvefold.strategies.strategy.Merged"


def merged_files(rules: Mapping[str, Any]) -> dict[str, FileRule]:
    """Map the path of each merged file to its rules. Raises BadRulesError."""
    nodes = [node for node in rules["strategies_mapping"].values() if isinstance(node, Mapping)]
    loaded = [FileRule.load(node.get("config", {})) for node in nodes if node.get("strategy") == MERGED]
    return {rule.path: rule for rule in loaded}


@dataclass(frozen=True, slots=True)
class Migrations:
    """What happened to the template: old path → new one, old question → new one, question → old choice → new one.

    And folders that were the template's and must be empty now → where a team's own files in them go.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    folders: Mapping[str, str] = field(default_factory=dict)
    questions: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @classmethod
    def load(cls, rules: Mapping[str, Any]) -> Migrations:
        """Read `migrations:` of scaraplate.yaml. Raises RefusedError if it is not as documented there."""
        declared = rules.get("migrations") or {}
        if not isinstance(declared, Mapping) or not set(declared) <= {"paths", "folders", "questions", "choices"}:
            raise RefusedError("scaraplate.yaml: migrations takes paths, folders, questions and choices.")
        found = {name: value or {} for name, value in declared.items()}
        choices = found.get("choices", {})
        maps = [found.get("paths", {}), found.get("folders", {}), found.get("questions", {}), choices]
        maps += choices.values() if isinstance(choices, Mapping) else []
        if not all(isinstance(each, Mapping) for each in maps):
            raise RefusedError("scaraplate.yaml: migrations map texts to texts, old to new.")
        flat = [pair for each in maps if each is not choices for pair in each.items()]
        if not all(isinstance(old, str) and isinstance(new, str) for old, new in flat):
            raise RefusedError("scaraplate.yaml: migrations map texts to texts, old to new.")
        return cls(**found)

    def moved(self, answers: Mapping[str, Answer]) -> dict[str, str]:
        """Old path → new path, with the answers filled in, chains followed."""
        paths = _filled(self.paths, answers)
        return {old: _last(paths, new) for old, new in paths.items()}

    def emptied(self, answers: Mapping[str, Answer]) -> dict[str, str]:
        """Folder that must be empty → where a team's own files in it go, with the answers filled in."""
        return _filled(self.folders, answers)


def _filled(places: Mapping[str, str], answers: Mapping[str, Answer]) -> dict[str, str]:
    paths = dict(zip(filled(places, answers), filled(places.values(), answers), strict=True))
    for path in (*paths, *paths.values()):
        refuse_outside(path)
    return paths


def filled(patterns: Iterable[str], answers: Mapping[str, Answer]) -> list[str]:
    """Paths of scaraplate.yaml with the answers filled in. Raises RefusedError if one cannot be rendered."""
    if not any("{" in pattern for pattern in patterns):
        return list(patterns)
    from jinja2.sandbox import SandboxedEnvironment

    jinja = SandboxedEnvironment()  # as scaraplate renders the patterns
    try:
        return [
            jinja.from_string(pattern).render(cookiecutter=answers) if "{" in pattern else pattern
            for pattern in patterns
        ]
    except Exception as error:  # an expression raises what it likes
        raise RefusedError(f"scaraplate.yaml: a path cannot be rendered: {error}.") from error


def _last(paths: Mapping[str, str], path: str) -> str:
    for _ in paths:
        path = paths.get(path, path)
    return path
