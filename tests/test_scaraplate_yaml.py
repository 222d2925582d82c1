"""scaraplate.yaml gives every rendered path exactly one rule, as its first line promises."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from scaraplate.config import ScaraplateYamlStrategies, get_scaraplate_yaml_options, get_scaraplate_yaml_strategies
from scaraplate.rollup import get_strategy

from answers import combinations, label
from conftest import Render
from environments import TEMPLATE
from trees import tree
from twelvefold.engine.application import Application
from twelvefold.git_remote import TemplateRemote
from twelvefold.memory import Answers
from twelvefold.strategies.rules import key_path


@cache
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


def test_the_page_on_ownership_lists_every_rule() -> None:
    rules = yaml.safe_load((TEMPLATE / "scaraplate.yaml").read_text(encoding="utf-8"))
    expected: dict[str, set[str]] = {word: set() for word in rules["ownership"].values()}
    for pattern, rule in rules["strategies_mapping"].items():
        if pattern.startswith(".twelvefold/"):  # one thing to those who read the page
            expected["memory"].add(".twelvefold/*")
        else:
            word = rules["ownership"][rule if isinstance(rule, str) else rule["strategy"]]
            expected[word].add(pattern.replace("{{ cookiecutter.package_name }}", "<package_name>"))
    page = (TEMPLATE / "docs/ownership.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \*(owned|seeded|merged|memory)\*, [^|]+ \| ([^|]+) \|", page, re.MULTILINE)
    assert [(word, set(re.findall("`([^`]+)`", files))) for word, files in rows] == [*expected.items()]


def test_the_application_is_all_there(rendered: Render) -> None:
    """Each of its paths and keys is rendered for some answers: a job that is called otherwise now is not forgotten."""
    services = [rendered(**answers) for answers in combinations()]
    application = Application.load(yaml.safe_load((TEMPLATE / "scaraplate.yaml").read_text(encoding="utf-8")))
    found = {pattern for service in services for pattern in left_out_of(service, application) if "(" not in pattern}
    assert len(found) == len(application.paths)
    readers: dict[str, Callable[[str], Any]] = {".toml": tomllib.loads, ".yml": yaml.safe_load}
    for path, keys in application.keys.items():
        texts = {(service / path).read_text(encoding="utf-8") for service in services if (service / path).exists()}
        contents = [readers[Path(path).suffix](text) for text in texts]
        assert [key for key in keys if not any(holds(content, key) for content in contents)] == []


def left_out_of(service: Path, application: Application) -> list[str]:
    with tempfile.TemporaryDirectory() as scratch:
        return application.leave_out(Path(shutil.copytree(service, Path(scratch) / service.name)))


def holds(content: Any, key: str) -> bool:
    path, _, item = key.partition("=")
    for name in key_path(path):
        if not isinstance(content, dict) or name not in content:
            return False
        content = content[name]
    return not item or item in content


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
