from pathlib import Path

import pytest

from chassis import Settings
from chassis.settings import load, read
from chassis.settings.explain import shown
from chassis.settings.places import SettingsError
from chassis.settings.types import secret_values
from chassis_database.settings import DatabaseSettings


class ServiceSettings(DatabaseSettings, Settings):
    pass


def test_everything_has_a_default() -> None:
    assert DatabaseSettings().database_url == "sqlite:///data/service.db"


def test_the_platforms_variable_is_understood(config: Path) -> None:
    settings = load(ServiceSettings, environ={"APP_CONFIG_DIR": str(config), "DATABASE_URL": "postgres://db/shop"})
    assert settings.database_url == "postgres://db/shop"


def test_a_url_that_cannot_be_used_is_a_sentence_without_its_password(config: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        load(ServiceSettings, environ={"APP_CONFIG_DIR": str(config), "DATABASE_URL": "mysql://me:hunter22@db/shop"})
    (problem,) = raised.value.problems
    assert "DATABASE_URL in the environment: should be sqlite:///data/service.db or postgresql://" in problem
    assert "Example: APP_DATABASE_URL=sqlite:///data/service.db" in problem
    assert "hunter22" not in problem


def test_a_password_in_the_url_is_not_shown(config: Path) -> None:
    environ = {"APP_CONFIG_DIR": str(config), "DATABASE_URL": "postgresql://me:hunter22@db/shop"}
    found = read(ServiceSettings, environ=environ)
    (row,) = [row for row in shown(found.settings, found.given) if row.path == ("database_url",)]
    assert row.value == "postgresql://me:***@db/shop"


def test_a_password_in_the_url_is_a_secret_of_the_log() -> None:
    settings = ServiceSettings(name="x", database_url="postgresql://me:hunter%4022@db/shop")
    assert {*secret_values(settings)} == {"hunter%4022", "hunter@22"}
