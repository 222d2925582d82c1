"""The run that goes on, on disk."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from twelvefold.errors import FailedError, RefusedError
from twelvefold.fleet.options import FleetRollupOptions
from twelvefold.fleet.unfinished import Begun, Unfinished

NONE = FleetRollupOptions(
    file=Path("fleet.toml"),
    state=None,
    token_file=None,
    only=(),
    check=False,
    wave=None,
    shard=None,
    jobs=4,
    max_failures=None,
    ref=None,
    only_failed=False,
    resume=True,
    no_lock=False,
    build=False,
)
CHOSEN: dict[str, Any] = {
    "only": ("a*",),
    "check": True,
    "wave": "canary",
    "shard": "1/2",
    "max_failures": 0.0,
    "ref": "0.2.0",
    "only_failed": True,
    "no_lock": True,
    "build": True,
}
"""Every option that says what a run does, and to whom; the others say where, and with how many processes."""


def test_every_option_that_says_what_a_run_does_is_kept() -> None:
    others = {"file", "state", "token_file", "jobs", "resume"}
    assert {field.name for field in fields(FleetRollupOptions)} == {*CHOSEN, *others}


def test_a_run_is_resumed_as_it_was_begun(tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path / "state/run.json")
    chosen = replace(NONE, **CHOSEN)
    unfinished.keep(Begun("now", replace(chosen, jobs=1, resume=False), "0.2.0"))
    assert unfinished.resumed(NONE) == Begun("now", chosen, "0.2.0")
    unfinished.forget()
    with pytest.raises(RefusedError, match="No run was interrupted"):
        unfinished.resumed(NONE)
    unfinished.forget()


@pytest.mark.parametrize("given", CHOSEN)
def test_a_run_is_resumed_with_no_other_options(given: str, tmp_path: Path) -> None:
    unfinished = Unfinished(tmp_path / "run.json")
    unfinished.keep(Begun("now", NONE))
    with pytest.raises(RefusedError, match=f"Leave --{given.replace('_', '-')} out"):
        unfinished.resumed(replace(NONE, **{given: CHOSEN[given]}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"run": "a", "options": {}, "newest": null}'])
def test_a_file_that_is_none_is_no_run(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(RefusedError, match="No run was interrupted"):
        Unfinished(tmp_path / "run.json").resumed(NONE)


def test_a_folder_that_takes_no_files_is_told(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    with pytest.raises(FailedError, match=r"run\.json cannot be written"):
        Unfinished(tmp_path / "state/run.json").keep(Begun("now", NONE))
