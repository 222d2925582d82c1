"""Capabilities of the template itself, switched on and off by a rollup."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from answers import capabilities, label
from conftest import Render, commit
from histories import edit, twelvefold, write
from trees import tree

SETS = [
    dict.fromkeys(chosen, True)
    for number in range(1, len(capabilities()) + 1)
    for chosen in itertools.combinations(capabilities(), number)
]


def update(service: Path, template: Path, **answers: bool) -> str:
    """Roll up onto a committed service, which must need nobody."""
    commit(service, "Before")
    options = [f"--answer={capability}={str(on).lower()}" for capability, on in answers.items()]
    done = twelvefold("rollup", service, "--template", template, "--ref", "HEAD", "--no-lock", *options)
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
@pytest.mark.parametrize("answers", SETS, ids=label)
def test_switched_on_it_is_as_at_the_start_and_off_it_leaves_no_trace(
    answers: dict[str, bool], template: Path, fresh: Render, rendered: Render
) -> None:
    service = fresh()
    before = tree(service)
    update(service, template, **answers)
    assert tree(service) == tree(rendered(**answers))
    update(service, template, **dict.fromkeys(answers, False))
    assert tree(service) == before


def test_what_the_team_wrote_stays_when_it_is_switched_on_and_off(template: Path, fresh: Render) -> None:
    service = fresh()
    edit(service, "pyproject.toml", '  "pydantic",\n', '  "pydantic",\n  "tasklib>=2",  # ours\n')
    edit(service, ".env.example", "#APP_DOCS=true", "APP_DOCS=false")
    write(service, "src/my_service/store.py", "KEPT = True\n")
    edited = tree(service)
    update(service, template, **dict.fromkeys(capabilities(), True))
    with_all = tree(service)
    assert b'"sqlalchemy[asyncio]"' in with_all["pyproject.toml"][1]
    assert b'  "tasklib>=2",  # ours\n' in with_all["pyproject.toml"][1]
    update(service, template, **dict.fromkeys(capabilities(), False))
    assert tree(service) == edited


def test_a_seed_that_the_team_filled_stays_when_the_capability_goes(template: Path, fresh: Render) -> None:
    service = fresh(database=True)
    write(service, "src/my_service/database.py", "# Ours, with data in it.\n")
    said = update(service, template, database=False)
    assert (service / "src/my_service/database.py").read_text(encoding="utf-8") == "# Ours, with data in it.\n"
    assert "src/my_service/database.py" in said
