"""scaraplate.yaml gives every rendered path exactly one rule, as its first line promises."""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path

import pytest
from scaraplate.config import ScaraplateYamlStrategies, get_scaraplate_yaml_options, get_scaraplate_yaml_strategies
from scaraplate.rollup import get_strategy

from answers import combinations, label
from conftest import Render
from environments import TEMPLATE
from trees import tree
from twelvefold.git_remote import TemplateRemote
from twelvefold.memory import Answers


def rules_of(service: Path) -> ScaraplateYamlStrategies:
    answers = json.loads((service / ".twelvefold/answers.json").read_text(encoding="utf-8"))
    return get_scaraplate_yaml_strategies(TEMPLATE, answers)


@pytest.mark.parametrize("answers", combinations(), ids=label)
def test_every_rendered_path_has_exactly_one_rule(answers: dict[str, str | bool], rendered: Render) -> None:
    service = rendered(**answers)
    patterns = rules_of(service).strategies_mapping
    for path in tree(service):
        assert len([pattern for pattern in patterns if fnmatch.fnmatch(path, pattern)]) == 1, path


def test_every_rule_has_a_path(rendered: Render) -> None:
    paths = {path for answers in combinations() for path in tree(rendered(**answers))}
    patterns = rules_of(rendered(**combinations()[0])).strategies_mapping
    assert [pattern for pattern in patterns if not fnmatch.filter(paths, pattern)] == []


def test_a_path_without_a_rule_would_be_left_to_the_team(rendered: Render) -> None:
    rules = rules_of(rendered())
    assert get_strategy(rules, Path("no/rule")) == rules.default_strategy
    assert rules.default_strategy.strategy.__name__ == "IfMissing"


@pytest.mark.parametrize("answers", combinations(), ids=label)
def test_the_manifest_names_the_owner_that_the_rule_gives(answers: dict[str, str | bool], rendered: Render) -> None:
    service = rendered(**answers)
    rules = rules_of(service)
    words = {"Overwrite": "owned", "IfMissing": "seeded", "Merged": "merged"}
    manifest = json.loads((service / ".twelvefold/manifest.json").read_text(encoding="utf-8"))
    assert {path for path in tree(service) if not path.startswith(".twelvefold/")} == set(manifest)
    for path, entry in manifest.items():
        assert entry["owner"] == words[get_strategy(rules, Path(path)).strategy.__name__], path


def test_what_merges_is_ours(rendered: Render) -> None:
    options = get_scaraplate_yaml_options(TEMPLATE)
    assert options.cookiecutter_context_type is Answers
    assert options.git_remote_type is TemplateRemote
