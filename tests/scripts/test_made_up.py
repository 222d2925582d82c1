"""The fleet that is made up: what is shown of it could be so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import made_up
from conftest import Render
from environments import EVERYTHING


@pytest.fixture
def service(rendered: Render) -> Path:
    return rendered(**EVERYTHING)


@pytest.mark.parametrize("path", [*made_up.DRIFT, *made_up.CHANGED, made_up.ADDED])
def test_a_path_is_one_that_services_have(path: str, service: Path) -> None:
    assert (service / path).is_file()


def test_a_drift_is_in_what_the_template_owns(service: Path) -> None:
    manifest = json.loads((service / ".twelvefold/manifest.json").read_text(encoding="utf-8"))
    assert {manifest[path]["owner"] for path in made_up.DRIFT} == {"owned"}
