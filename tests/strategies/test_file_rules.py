"""A merged file read without some of its keys."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import Render
from twelvefold.strategies.files import FileRule
from twelvefold.strategies.rules import BadRulesError, shown_path

READERS: Mapping[str, Callable[[str], Any]] = {"toml": tomllib.loads, "yaml": yaml.safe_load, "json": json.loads}
FILES = [
    ("gitlab", ".gitlab-ci.yml", "yaml"),
    ("github", ".github/workflows/ci.yml", "yaml"),
    ("gitlab", ".pre-commit-config.yaml", "yaml"),
    ("gitlab", "pyproject.toml", "toml"),
    ("gitlab", ".nitpick-style.toml", "toml"),
    ("gitlab", "renovate.json", "json"),
]


def rule(form: str, *keys: str) -> FileRule:
    return FileRule.load({"path": "file", "format": form}).without(keys)


def paths(data: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in data.items() if isinstance(data, dict) else ():
        if isinstance(key, str) and '"' not in key:
            yield (*path, key)
            yield from paths(value, (*path, key))


def less(data: Any, path: tuple[str, ...]) -> Any:
    rest = {key: value for key, value in data.items() if key != path[0]}
    return rest if len(path) == 1 else {**data, path[0]: less(data[path[0]], path[1:])}


@pytest.mark.slow
@pytest.mark.parametrize(("ci", "path", "form"), FILES, ids=str)
def test_each_key_of_a_real_file_can_be_left_out(ci: str, path: str, form: str, rendered: Render) -> None:
    """YAML reads the key `on` as true: that one is no text."""
    text = (rendered(ci=ci) / path).read_text(encoding="utf-8")
    data = READERS[form](text)
    keys = sorted(set(paths(data)), key=len)[:40]
    assert keys
    for key in keys:
        reduced = rule(form, ".".join(f'"{one}"' for one in key)).reduced(text.encode()).decode()
        assert READERS[form](reduced) == less(data, key), shown_path(key)


@pytest.mark.parametrize(
    ("form", "text", "key", "reduced"),
    [
        ("yaml", "a: [x, y]\nb: 1\n", "a=x", "a: [y]\nb: 1\n"),
        ("yaml", "# Of b.\nb:\n  # Of c.\n  c: 1\n  d: 2\n", "b.c", "# Of b.\nb:\n  d: 2\n"),
        ("toml", '[a]\nx = ["1", "2"]\n', "a.x=2", '[a]\nx = ["1"]\n'),
        ("toml", "a = 1\n\n# Of b.\n[b]\nc = 1\n", "b", "a = 1\n"),
        ("json", '{"a": 1, "b": 2}', "b", '{"a": 1}'),
        ("yaml", "a: 1\n", "b.c.d", "a: 1\n"),
        ("yaml", "a: 1\n", "a=x", "a: 1\n"),
        ("yaml", "a: 1\n", "a.b=x", "a: 1\n"),
    ],
)
def test_the_rest_stays_as_it_is(form: str, text: str, key: str, reduced: str) -> None:
    assert rule(form, key).reduced(text.encode()).decode() == reduced


def test_what_is_left_out_is_the_team_s(tmp_path: Path) -> None:
    """The team's key of that name is neither taken away nor changed, whatever the template did to its own."""
    without = rule("yaml", "deploy")
    service = b"# Ours.\ndeploy: ours\ntest: 1\n"
    merged = without.merge(b"deploy: 1\ntest: 1\n", b"deploy: 2\ntest: 2\n", service)
    assert merged.content == b"# Ours.\ndeploy: ours\ntest: 2\n"
    assert merged.decisions == []
    assert without.merge(None, b"deploy: 2\ntest: 2\n", None).content == b"test: 2\n"


def test_a_format_without_keys_says_so() -> None:
    with pytest.raises(BadRulesError, match="file cannot be read without a"):
        rule("ignore", "a").reduced(b"a\n")
