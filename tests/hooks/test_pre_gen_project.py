"""`--replay` asks no questions, so only the hook stands between a bad answer and the files."""

from __future__ import annotations

import json
from pathlib import Path

from commands import Done, run
from environments import TEMPLATE
from test_twelvefold_answers import GOOD


def replay(answers: dict[str, str | bool], tmp_path: Path) -> Done:
    declared = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    file = tmp_path / "replay.json"
    file.write_text(json.dumps({"cookiecutter": {**declared, **answers}}), encoding="utf-8")
    output = tmp_path / "out"
    output.mkdir()
    return run("cookiecutter", TEMPLATE, "--default-config", "--replay-file", file, "-o", output)


def test_good_answers_are_rendered(tmp_path: Path) -> None:
    hostile = {"project_name": "It's \"quoted\" \\ '''", "description": "'; import os #"}
    done = replay({**GOOD, **hostile}, tmp_path)
    assert done.returncode == 0, done.stderr
    stored = json.loads((tmp_path / "out/my-service/.twelvefold/answers.json").read_text(encoding="utf-8"))
    assert stored == {**GOOD, **hostile}


def test_bad_answers_are_refused_and_nothing_is_left(tmp_path: Path) -> None:
    done = replay({**GOOD, "package_name": "logging", "owner": "my team"}, tmp_path)
    assert done.returncode != 0
    assert 'package_name = "logging"' in done.stderr
    assert 'owner = "my team"' in done.stderr
    assert list((tmp_path / "out").iterdir()) == []
