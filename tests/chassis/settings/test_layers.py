"""Which variables are read without the prefix, and whether all who list them list them all."""

import re
from pathlib import Path

import pytest

from chassis import UNPREFIXED_VARIABLES, Settings
from chassis.parts import with_settings_of
from chassis_auth.settings import AuthSettings
from chassis_database.settings import DatabaseSettings
from chassis_tasks.settings import TasksSettings
from service_process import TEMPLATE

ROOT = TEMPLATE.parent
LISTS = {"<<cookiecutter.project_slug>>/.env.example", "<<cookiecutter.project_slug>>/README.md", "docs/chassis.md"}
TEXTS = [TEMPLATE / ".env.example", TEMPLATE / "README.md", *ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
TEXTS += ROOT.glob("examples/*/README.md")
CONFTESTS = [TEMPLATE / "tests/conftest.py", *ROOT.glob("examples/*/tests/conftest.py")]


def named(text: str) -> set[str]:
    return set(re.findall(r"\b[A-Z_]+\b", text)) & set(UNPREFIXED_VARIABLES)


def test_none_has_the_prefix() -> None:
    assert not [name for name in UNPREFIXED_VARIABLES if name.startswith("APP_")]


def test_a_text_that_lists_them_lists_all() -> None:
    half = len(UNPREFIXED_VARIABLES) // 2
    lists = {
        path.relative_to(ROOT).as_posix(): named(paragraph)
        for path in TEXTS
        for paragraph in path.read_text(encoding="utf-8").split("\n\n")
        if len(named(paragraph)) > half
    }
    assert lists == {path: set(UNPREFIXED_VARIABLES) for path in LISTS}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_text_has_another_setting_without_the_prefix(path: Path) -> None:
    settings = with_settings_of([AuthSettings, DatabaseSettings, TasksSettings], Settings).model_fields
    others = {name.upper() for name in settings if "_" in name} - set(UNPREFIXED_VARIABLES)
    assert others & set(re.findall(r"`([A-Z_]+)[`=]", path.read_text(encoding="utf-8"))) == set()


@pytest.mark.parametrize("path", CONFTESTS, ids=lambda path: path.relative_to(ROOT).parts[-3])
def test_the_tests_of_a_service_unset_them_all(path: Path) -> None:
    assert "in UNPREFIXED_VARIABLES:\n" in path.read_text(encoding="utf-8")
