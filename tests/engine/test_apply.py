"""scaraplate.yaml applied in a rendered project: what scaraplate's own function makes of the same, less its imports."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from forks import checkout_of
from trees import tree
from twelvefold.decisions import Decision, collected
from twelvefold.engine.rendering.apply import Onto, apply, are_applied_here
from twelvefold.engine.rendering.classes import apply_classes
from twelvefold.service import ANSWERS, APPLIED, MANIFEST, TEMPLATE, File

OVERWRITE, IF_MISSING = "scaraplate.strategies.Overwrite", "scaraplate.strategies.IfMissing"
ANSWERED = {"package": "pay", "odd": "a*b"}
MERGED = {"notes.txt": "text", "pyproject.toml": "toml"}
RENDERED = {
    "owned/deep/a b.py": "new\n",
    "owned/x.py": "new\n",
    "owned/run.sh": "new\n",
    "seeds/old.py": "new\n",
    "src/pay/api.py": "new\n",
    "src/chassis/api.py": "new\n",
    "a-b": "new\n",
    "no rule": "new\n",
    "notes.txt": "one\ntwo\nthree\n",
    "pyproject.toml": '[tool.ruff]\nline-length = 100\nselect = ["E"]\n',
}


def rules(**more: Any) -> dict[str, Any]:
    mapping: dict[str, Any] = {".twelvefold/*.json": OVERWRITE, "owned/*": OVERWRITE, "owned/[x].py": IF_MISSING}
    mapping |= {"seeds/*": IF_MISSING, "src/{{ cookiecutter.package }}/*": IF_MISSING, "src/c*": OVERWRITE}
    mapping |= {"a-{{ cookiecutter.odd[2] }}": IF_MISSING}
    for path, form in MERGED.items():
        config = {"path": path, "format": form}
        mapping[path] = {"strategy": "twelvefold.strategies.strategy.Merged", "config": config}
        mapping[str(APPLIED / path)] = {"strategy": "twelvefold.strategies.strategy.Applied", "config": config}
    return {
        "git_remote_type": "twelvefold.git_remote.TemplateRemote",
        "cookiecutter_context_type": "twelvefold.memory.Answers",
        "default_strategy": IF_MISSING,
        "strategies_mapping": mapping | more,
    }


def project(folder: Path) -> Path:
    """A render with its memory."""
    files = {path: text.encode() for path, text in RENDERED.items()}
    files |= {str(APPLIED / path): files[path] for path in MERGED}
    manifest = {path: {"owner": "merged", "mode": "644", "sha256": File(files[path]).sha256} for path in MERGED}
    memory = {ANSWERS: ANSWERED, MANIFEST: manifest, TEMPLATE: {"version": "1"}}
    files |= {str(path): json.dumps(content).encode() for path, content in memory.items()}
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    (folder / "owned/run.sh").chmod(0o755)
    return folder


Outcome = tuple[dict[str, tuple[int, bytes]], list[Decision]]


def both(rules: Mapping[str, Any], onto: Onto, folder: Path, links: Mapping[str, str] | None = None) -> list[Outcome]:
    """What our own function makes of `onto`, and what scaraplate's: files that were rendered, and decisions."""
    (folder / "template").mkdir()
    (folder / "template/scaraplate.yaml").write_text(yaml.safe_dump(dict(rules)))
    rendered = project(folder / "ours")
    for path, target in (links or {}).items():
        (rendered / path).unlink(missing_ok=True)
        (rendered / path).symlink_to(target)
    shutil.copytree(rendered, folder / "theirs", symlinks=True)
    paths = {path.relative_to(rendered).as_posix() for path in rendered.rglob("*") if path.is_file()}
    with collected() as ours:
        apply(rendered, rules, ANSWERED, onto)
    with collected() as theirs:
        apply_classes(checkout_of(folder / "template"), folder / "theirs", ANSWERED, onto, folder / "target")
    outcomes = ((tree(rendered), ours), (tree(folder / "target"), theirs))
    return [
        ({path: file for path, file in files.items() if path in paths}, sorted(decisions, key=str))
        for files, decisions in outcomes
    ]


def same(outcomes: list[Outcome]) -> Outcome:
    ours, theirs = outcomes
    assert ours == theirs
    return ours


NOTHING = Onto({}, {}, {})


def test_without_a_service_it_is_the_render(tmp_path: Path) -> None:
    files, decisions = same(both(rules(), NOTHING, tmp_path))
    assert (files, decisions) == (tree(project(tmp_path / "render")), [])


def test_each_owner_has_what_is_his(tmp_path: Path) -> None:
    here = dict.fromkeys(RENDERED, b"old\n")
    here |= {"notes.txt": b"one\ntwo\nthree\nours\n", "pyproject.toml": b"[tool.ours]\n"}
    files, _ = same(both(rules(), Onto(here, {}, {}), tmp_path))
    kept = {path for path, (_, content) in files.items() if content == b"old\n"}
    assert kept == {"seeds/old.py", "src/pay/api.py", "a-b", "no rule"}
    assert files["notes.txt"][1] == b"one\ntwo\nthree\nours\n"
    assert b"[tool.ours]" in files["pyproject.toml"][1]
    assert b"line-length = 100" in files["pyproject.toml"][1]
    assert files["owned/run.sh"] == (0o755, b"new\n")


def test_a_file_that_cannot_be_read_stays_and_so_does_its_copy(tmp_path: Path) -> None:
    onto = Onto({"pyproject.toml": b"[tool"}, {"pyproject.toml": b"[tool.ruff]\n"}, {})
    files, decisions = same(both(rules(), onto, tmp_path))
    assert files["pyproject.toml"][1] == b"[tool"
    assert files[str(APPLIED / "pyproject.toml")][1] == b"[tool.ruff]\n"
    entry = json.loads(files[str(MANIFEST)][1])["pyproject.toml"]
    assert entry == {"owner": "merged", "mode": "644", "sha256": File(b"[tool.ruff]\n").sha256, "unmerged": True}
    assert [decision.path for decision in decisions] == ["pyproject.toml"]


def test_what_is_left_out_is_not_merged_in(tmp_path: Path) -> None:
    left_out = {"pyproject.toml": ["tool.ruff.line-length"]}
    files, _ = same(both(rules(), Onto({"pyproject.toml": b"[tool.ours]\n"}, {}, left_out), tmp_path))
    assert b"select" in files["pyproject.toml"][1]
    assert b"line-length" not in files["pyproject.toml"][1]


@pytest.mark.parametrize("path", ["seeds/link.py", "owned/x.py", "src/chassis/api.py"])
def test_a_link_that_a_hook_made_becomes_a_file(path: str, tmp_path: Path) -> None:
    onto = Onto({"notes.txt": b"ours\n", "owned/x.py": b"ours\n"}, {}, {})
    files, _ = same(both(rules(), onto, tmp_path, {path: os.path.relpath("owned/run.sh", Path(path).parent)}))
    assert (files["owned/run.sh"], files[path][0]) == ((0o755, b"new\n"), 0o755)
    assert not (tmp_path / "ours" / path).is_symlink()


def test_a_link_to_nowhere_is_an_error(tmp_path: Path) -> None:
    (project(tmp_path) / "seeds/link.py").symlink_to("nowhere")
    with pytest.raises(FileNotFoundError):
        apply(tmp_path, rules(), ANSWERED, NOTHING)


def test_a_pattern_that_names_what_nobody_asks_is_an_error(tmp_path: Path) -> None:
    """scaraplate says so, too; without an error no path would have that rule."""
    unknown = rules(**{"src/{{ cookiecutter.module }}/*": OVERWRITE})
    with pytest.raises(UndefinedError, match="module"):
        apply(project(tmp_path / "ours"), unknown, ANSWERED, NOTHING)
    (tmp_path / "template").mkdir()
    (tmp_path / "template/scaraplate.yaml").write_text(yaml.safe_dump(unknown))
    target = tmp_path / "target"
    with pytest.raises(UndefinedError, match="module"):
        apply_classes(checkout_of(tmp_path / "template"), tmp_path / "ours", ANSWERED, NOTHING, target)


def test_a_file_that_is_as_rendered_is_not_written_again(tmp_path: Path) -> None:
    file = project(tmp_path) / "notes.txt"
    os.utime(file, ns=(1, 1))
    apply(tmp_path, rules(), ANSWERED, NOTHING)
    assert file.stat().st_mtime_ns == 1


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, True),
        ({"default_strategy": "scaraplate.strategies.TemplateHash"}, False),
        ({"strategies_mapping": {"a": "acme.strategies.Ours"}}, False),
        ({"strategies_mapping": {"a": {"strategy": "scaraplate.strategies.SortedUniqueLines"}}}, False),
        ({"strategies_mapping": {"a": {"strategy": OVERWRITE}}}, True),
        ({"cookiecutter_context_type": "scaraplate.cookiecutter.ScaraplateConf"}, False),
    ],
    ids=str,
)
def test_what_is_applied_here(more: Mapping[str, Any], expected: bool) -> None:
    assert are_applied_here({**rules(), **more}) is expected


texts = st.sampled_from([b"", b"one\ntwo\n", b"one\nthree\n", b"one\n2\nthree\n", b"ours\none\ntwo\nthree\n", b"\xff"])
tables = st.sampled_from(
    [
        b"",
        b"[tool",
        b'[tool.ruff]\nline-length = 100\nselect = ["E"]\n',
        b"[tool.ruff]\nline-length = 80\n",
        b"a = 1\r\n",
    ]
)
shared = st.fixed_dictionaries({}, optional={"notes.txt": texts, "pyproject.toml": tables, "seeds/old.py": texts})
bases = st.fixed_dictionaries({}, optional={"notes.txt": texts, "pyproject.toml": tables})
patterns = st.dictionaries(
    st.sampled_from(["*", "o*", "owned/?.py", "s*s/*", "[!o]*", "src/*/api.py"]),
    st.sampled_from([OVERWRITE, IF_MISSING]),
)


@given(files=shared, applied=bases, more=patterns, left_out=st.booleans())
def test_any_merge_is_scaraplate_s(
    files: Mapping[str, bytes], applied: Mapping[str, bytes], more: Mapping[str, str], left_out: bool
) -> None:
    memory_first = {path: strategy for path, strategy in more.items() if path not in {"*", "[!o]*"}}
    onto = Onto(files, applied, {"pyproject.toml": ["tool.ruff.select"]} if left_out else {})
    with tempfile.TemporaryDirectory() as folder:
        same(both(rules(**memory_first), onto, Path(folder)))
