"""The invariants of the rollup, each over generated template histories, services and edits."""

from __future__ import annotations

import errno
import itertools
import json
import os
import re
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement

from commands import run, succeed
from conftest import git
from environments import TEMPLATE
from forks import Answers
from generated import (
    AGAINST,
    BREAKING,
    OF_THE_TEAM,
    OF_THE_TEMPLATE,
    Edit,
    Version,
    World,
    answers,
    edits,
    save,
    versions,
    world,
)
from histories import MERGED, twelvefold
from trees import tree
from twelvefold.strategies.three_way import ABSENT
from watching import written

Test = Callable[..., None]
ANY = edits(OF_THE_TEAM, OF_THE_TEAM, AGAINST, OF_THE_TEMPLATE, BREAKING)
READABLE = edits(OF_THE_TEAM, OF_THE_TEAM, AGAINST, OF_THE_TEMPLATE)


def examples(few: int) -> Callable[[Test], Test]:
    """Run a few examples by default, where each rolls up; as many as HYPOTHESIS_EXAMPLES says if it says."""
    count = int(os.environ.get("HYPOTHESIS_EXAMPLES", few))
    phases = [Phase.explicit, Phase.reuse, Phase.generate]  # to shrink an example would take minutes
    return settings(max_examples=count, phases=phases, suppress_health_check=list(HealthCheck))


# 1


@examples(3)
@given(versions(2), answers, ANY)
def test_idempotent(versions: tuple[Version, ...], answers: Answers, edits: list[Edit]) -> None:
    with world(versions, answers) as one:
        assert_nothing_to_do(one, 1)
        one.edited(edits).rollup(2)
        save(one.service)
        assert_nothing_to_do(one, 2)


def assert_nothing_to_do(one: World, number: int) -> None:
    before = tree(one.service)
    where = ("--template", str(one.history.repository), "--ref", f"0.{number}.0", "--no-lock")
    with written() as paths:
        done = twelvefold("rollup", one.service, *where)
    assert "Nothing to do" in done.output
    assert [path for path in paths if path.is_relative_to(one.service)] == []
    assert tree(one.service) == before
    assert git(one.service, "status", "--porcelain") == ""


# 2


@examples(2)
@given(versions(1), answers)
def test_render_equals_rollup(versions: tuple[Version, ...], answers: Answers) -> None:
    with world(versions, answers) as one:
        rendered = tree(one.service)
        one.scaraplate(1, one.service)
        assert tree(one.service) == rendered
        given = {"project_name": "Pay API", **answers}
        empty = begun(one, "empty", given)
        one.scaraplate(1, empty)
        assert tree(empty) == rendered
        adopted = begun(one, "adopted", {})
        git(adopted, "init", "--quiet")
        (adopted / ".twelvefold/answers.json").unlink()
        (adopted / ".twelvefold").rmdir()
        save(adopted)
        where = ("--template", str(one.history.repository), "--ref", "0.1.0", "--no-lock", "--no-input", "--yes")
        done = twelvefold("adopt", adopted, *where, *(f"--answer={name}={answer}" for name, answer in given.items()))
        assert done.exit_code == 0, done.output
        assert tree(adopted) == rendered


def begun(one: World, name: str, answers: Answers) -> Path:
    """A folder of the service's name, in which there are only answers."""
    memory = one.folder / name / one.service.name / ".twelvefold"
    memory.mkdir(parents=True)
    (memory / "answers.json").write_text(json.dumps(dict(answers)), encoding="utf-8")
    return memory.parent


# 3


@examples(3)
@given(versions(2), edits(OF_THE_TEAM), READABLE)
def test_the_team_s_bytes_are_the_team_s(versions: tuple[Version, ...], own: list[Edit], others: list[Edit]) -> None:
    with world(versions) as one:
        rendered = tree(one.service)
        one.edited(own)
        marks = {(edit.path, mark) for edit in own for mark in edit.marks() if mark in lines_of(one.service, edit.path)}
        one.edited(others)
        before = tree(one.service)
        there = {(path, mark) for path, mark in marks if mark in lines_of(one.service, path)}
        moved = versions[1].moved
        done = one.rollup(2)
        after = tree(one.service)
        new = set(json.loads(after[".twelvefold/manifest.json"][1]))
        for path, file in before.items():
            if path not in rendered and path not in new:
                assert after[path] == file
            if path.startswith("seeds/") and file != rendered.get(path):
                assert after[moved.get(path, path) if moved.get(path, path) in new else path] == file
        for path, mark in there:
            place = moved.get(path, path)
            assert mark in lines_of(one.service, place if place in after else path), done.output


def lines_of(service: Path, path: str) -> set[str]:
    file = service / path
    text = file.read_bytes().decode("utf-8", "surrogateescape") if file.is_file() else ""
    return {line.strip().removeprefix("\ufeff") for line in text.splitlines()}


# 4


@examples(3)
@given(versions(2), answers, READABLE)
def test_drift_heals(versions: tuple[Version, ...], answers: Answers, edits: list[Edit]) -> None:
    with world(versions, answers) as one:
        done = one.edited(edits).rollup(2)
        fresh = tree(one.fresh(2))
        after = tree(one.service)
        manifest = json.loads(fresh[".twelvefold/manifest.json"][1])
        for path, entry in manifest.items():
            if entry["owner"] == "owned":
                assert after[path] == fresh[path]
        if "pyproject.toml" not in done.unread:
            assert pinned(after) == pinned(fresh)
        assert tree(one.service, ".twelvefold") == tree(one.folder / "fresh-2/pay-api", ".twelvefold") or done.unread


def pinned(files: Mapping[str, tuple[int, bytes]]) -> list[str]:
    """The one list in it that the template owns."""
    text = files["pyproject.toml"][1].decode().removeprefix("\ufeff")
    pins: list[str] = tomllib.loads(text)["tool"]["uv"]["constraint-dependencies"]
    return pins


# 5


@examples(3)
@given(versions(2), READABLE)
def test_members(versions: tuple[Version, ...], edits: list[Edit]) -> None:
    with world(versions) as one:
        base, template = members_of(one.service), members_of(one.fresh(2))
        one.edited(edits)
        service = members_of(one.service)
        one.rollup(2)
        after = members_of(one.service)
        for key, theirs in template.items():
            ours, was = service.get(key), base.get(key, set())
            if ours is not None:
                assert after[key] == theirs | (ours - was), key


def members_of(service: Path) -> dict[str, set[str]]:
    """The members of all shared lists, by what they are known by."""
    project, pipeline = loaded(service, "pyproject.toml"), loaded(service, "ci.yml")
    found = {"jobs": set(pipeline), "stages": set(pipeline.get("stages", ()))}
    if "project" in project:
        found["dependencies"] = {Requirement(one).name.lower() for one in project["project"]["dependencies"]}
    lint = project.get("tool", {}).get("ruff", {}).get("lint", {})
    return {**found, "select": set(lint["select"])} if "select" in lint else found


def loaded(service: Path, path: str) -> dict[str, Any]:
    """A TOML or YAML file's content; nothing if the file is not there."""
    file = service / path
    if not file.is_file():
        return {}
    text = file.read_bytes().decode().removeprefix("\ufeff")
    content: dict[str, Any] = tomllib.loads(text) if path.endswith("toml") else yaml.safe_load(text)
    return content


# 6


@examples(3)
@given(versions(2), ANY, edits(BREAKING))
def test_parse_closure(versions: tuple[Version, ...], edits: list[Edit], breaking: list[Edit]) -> None:
    with world(versions) as one:
        one.edited(edits + breaking)
        before = tree(one.service)
        done = one.rollup(2)
        after = tree(one.service)
        for old in MERGED:
            path = versions[1].moved.get(old, old)
            if path not in after or old not in before:
                continue
            if parses(path, before[old][1]):
                assert parses(path, after[path][1])
                assert path not in done.unread, done.output
            else:
                assert after[path][1] == before[old][1]
                assert path in done.unread
        for path, (_, content) in after.items():
            assert not path.endswith((".rej", ".orig"))
            assert b"<<<<<<<" not in content
            assert b">>>>>>>" not in content


def parses(path: str, content: bytes) -> bool:
    """Whether a file is of its format, in the opinion of another parser than ours."""
    try:
        text = content.decode().removeprefix("\ufeff")
        if path.endswith(".toml"):
            tomllib.loads(text)
        elif path.endswith(".yml"):
            yaml.safe_load(text)
        elif path.endswith(".json"):
            json.loads(text)
    except (ValueError, yaml.YAMLError):
        return False
    return True


# 7


@examples(4)
@given(versions(2), answers, ANY)
def test_nothing_silent(versions: tuple[Version, ...], answers: Answers, edits: list[Edit]) -> None:
    with world(versions, answers) as one:
        rendered, fresh = tree(one.service), tree(one.fresh(2))
        before = tree(one.edited(edits).service)
        save(one.service)
        with written() as paths:
            checked = one.rollup(2, "--check", is_dry=True)
        assert [path for path in paths if path.is_relative_to(one.service)] == []
        assert tree(one.service) == before
        done = one.rollup(2)
        after = tree(one.service)
        assert checked.report["decisions"] == done.report["decisions"]
        assert (checked.exit_code == 1) == (after != before)
        assert done.exit_code == (2 if done.report["needs_person"] else 0)
        changed = {**done.report["files"]}
        assert {path for path in changed if before.get(path) == after.get(path)} == set()
        for path in hurt(rendered, fresh, before, after, versions[1].moved):
            assert path in done.decided, (path, done.output)


def hurt(base: Files, template: Files, service: Files, after: Files, moved: Mapping[str, str]) -> set[str]:
    """The paths at which something was decided against the team's edit, as four trees show it."""
    found = set()
    for path, file in service.items():
        if path.startswith((".twelvefold/", "seeds/", "README")) or file == base.get(path):
            continue
        place = moved.get(path, path)
        if path not in base and path not in template:
            continue
        if after.get(place) != file and place in template and place not in MERGED:
            found.add(place)  # an owned file was healed
        elif path in base and place not in template:
            found.add(path)  # the template has it no more
        elif place in MERGED and is_hurt(place, base.get(path), template[place], file, after[place]):
            found.add(place)
    deleted = {path for path in base if path not in service and not path.startswith(".twelvefold/")}
    return found | {moved.get(path, path) for path in deleted if moved.get(path, path) in after}


def is_hurt(path: str, base: File | None, template: File, service: File, after: File) -> bool:
    was, theirs, ours, now = (keys_of(path, file) for file in (base, template, service, after))
    if ours is None or now is None:
        return True
    for key in {**(was or {}), **(theirs or {}), **ours}:
        old, new, mine, result = ((each or {}).get(key, ABSENT) for each in (was, theirs, ours, now))
        if mine != old and result != mine:
            return True  # the team's edit went
        if mine != old and new not in (old, mine):
            return True  # the template's change did not come
        if mine == old and new != old and result != new:
            return True  # nor did it here, where the team changed something near it
    return False


def keys_of(path: str, file: File | None) -> dict[str, object] | None:
    """All that a file says, by key or line; None if it cannot be read."""
    if file is None or not parses(path, file[1]):
        return None
    text = file[1].decode().removeprefix("\ufeff")
    if path.endswith(".toml"):
        return flat(tomllib.loads(text))
    if path.endswith(".yml"):
        return flat(yaml.safe_load(text))
    if path.endswith(".json"):
        return flat(json.loads(text))
    if path == ".env.example":
        return {line.partition("=")[0]: line for line in text.splitlines() if re.match(r"#?[A-Z_]+=", line)}
    return {line.rstrip(): True for line in text.splitlines() if line.strip()}


def flat(value: object, key: str = "") -> dict[str, object]:
    if isinstance(value, dict):
        inner = [flat(each, f"{key}.{name}") for name, each in value.items()]
        return {name: each for one in inner for name, each in one.items()}
    if isinstance(value, list) and key.endswith((".dependencies", ".select", ".stages")):
        return {f"{key}.{Requirement(str(one)).name.lower()}": one for one in value}
    return {key: value}


File = tuple[int, bytes]
Files = Mapping[str, File]


# 8


@examples(3)
@given(versions(2), edits(OF_THE_TEAM), st.integers(0, 30))
def test_all_or_nothing(versions: tuple[Version, ...], edits: list[Edit], failing: int) -> None:
    with world(versions) as one:
        before = tree(one.edited(edits).service)
        whole = one.cloned("whole")
        whole.rollup(2)
        wanted = tree(whole.service)
        with failing_rename(failing) as failed:
            where = ("--template", str(one.history.repository), "--ref", "0.2.0", "--no-lock")
            save(one.service)
            done = twelvefold("rollup", one.service, *where)
        assert done.exit_code == 3 if failed else done.exit_code in {0, 2}
        between = tree(one.service)
        assert all(file in (before.get(path), wanted.get(path)) for path, file in between.items())
        memory = {path for path in wanted if path.startswith(".twelvefold/") and wanted[path] != before.get(path)}
        if any(between.get(path) == wanted[path] for path in memory):
            assert all(between.get(path) == wanted[path] for path in wanted if path not in memory)
        if failed and between != before:
            assert twelvefold("rollup", one.service, *where, "--check").exit_code == 1
            assert "interrupted" in twelvefold("status", one.service).output
        twelvefold("rollup", one.service, *where)
        assert tree(one.service) == wanted


@contextmanager
def failing_rename(number: int) -> Iterator[list[str]]:
    """Let the rename of this number fail, as on a full disk; yields the paths that did."""
    original, count, failed = os.rename, itertools.count(), []

    def rename(source: str, target: str, **options: Any) -> None:
        if next(count) == number:
            failed.append(str(target))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        original(source, target, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "rename", rename)
        yield failed


# 9


@examples(2)
@given(versions(3), answers)
def test_every_path(versions: tuple[Version, ...], answers: Answers) -> None:
    with world(versions, answers) as one:
        direct = one.cloned("direct")
        steps = [one.rollup(2), one.rollup(3), direct.rollup(3)]
        assert [step.exit_code for step in steps] == [0, 0, 0]
        assert tree(one.service) == tree(direct.service)
        assert tree(one.service) == tree(one.fresh(3))


@pytest.mark.slow
@examples(2)
@given(versions(3), edits(OF_THE_TEAM))
def test_every_path_for_a_team_that_added_its_own(versions: tuple[Version, ...], edits: list[Edit]) -> None:
    with world(versions) as one:
        direct = one.edited(edits).cloned("direct")
        one.rollup(2)
        one.rollup(3)
        direct.rollup(3)
        assert said(one.service) == said(direct.service)


def said(service: Path) -> dict[str, object]:
    """What the files say: the order of what two put into the same place is nobody's."""
    return {path: (mode, meaning(path, content)) for path, (mode, content) in tree(service).items()}


def meaning(path: str, content: bytes) -> object:
    if path not in MERGED:
        return content
    if path == "pyproject.toml":
        return unordered(tomllib.loads(content.decode())), sorted(content.split())
    if path == "ci.yml":
        return unordered(yaml.safe_load(content.decode())), sorted(content.split())
    return sorted(content.split(b"\n"))


def unordered(value: object) -> object:
    if isinstance(value, dict):
        return {key: unordered(each) for key, each in value.items()}
    return sorted(map(str, value)) if isinstance(value, list) else value


# 10


@examples(3)
@given(versions(2), edits(OF_THE_TEAM))
def test_commutes_with_edits_in_places_not_owned(versions: tuple[Version, ...], edits: list[Edit]) -> None:
    with world(versions) as one:
        after = one.cloned("after")
        after.rollup(2)
        moved = {edit: edit.at(versions[1].moved) for edit in edits}
        both = [
            old for old, new in moved.items() if old.does_something(one.service) and new.does_something(after.service)
        ]
        one.edited(both).rollup(2)
        after.edited([moved[edit] for edit in both])
        assert said(one.service) == said(after.service)


# 11

HOSTILE = ("../outside", "/tmp/outside", ".git/config", "a/../../outside", "owned/../../outside", "", ".", "\0")  # noqa: S108


@examples(3)
@given(
    versions(2),
    st.sampled_from(["manifest", "answers", "link"]),
    st.sampled_from(HOSTILE),
    st.sampled_from(["Makefile", "pyproject.toml", "README.md", ".twelvefold", ".twelvefold/template.json", "owned"]),
)
def test_contained(versions: tuple[Version, ...], attack: str, hostile: str, linked: str) -> None:
    with world(versions) as one:
        outside = one.folder / "outside"
        outside.mkdir()
        (outside / "file").write_text("outside\n", encoding="utf-8")
        attacked(one, attack, hostile, linked, outside)
        save(one.service)
        before = tree(outside)
        where = ("--template", str(one.history.repository), "--ref", "0.2.0", "--no-lock")
        with written() as paths:
            done = twelvefold("rollup", one.service, *where)
        assert done.exit_code in {0, 2}, done.output
        assert tree(outside) == before
        scratches = {Path(tempfile.gettempdir()), Path("/dev/shm")}  # noqa: S108 - renders are made there
        allowed = [one.service, *(scratch / name for scratch in scratches for name in ("twelvefold-", "tmp"))]
        allowed += [Path(sys.pycache_prefix)] if sys.pycache_prefix else []
        assert [path for path in paths - scratches if not str(path).startswith(tuple(map(str, allowed)))] == []
        assert not any(path.name == "OWNED" for path in one.folder.rglob("*"))


@examples(3)
@given(versions(2), READABLE, st.sampled_from(["", *HOSTILE, "vendor", "vendor/chassis", "vendor/.git/config"]))
def test_contained_in_the_service_and_the_vendor_that_it_shares(
    versions: tuple[Version, ...], edits: list[Edit], hostile: str
) -> None:
    with world(tuple(vendored(version, number) for number, version in enumerate(versions))) as one:
        one.edited(edits)
        root = in_workspace(one.service)
        if hostile:
            manifest = json.loads((one.service / ".twelvefold/manifest.json").read_bytes())
            manifest[hostile] = manifest["Makefile"]
            (one.service / ".twelvefold/manifest.json").write_text(json.dumps(manifest))
        save(root)
        before = {path: file for path, file in tree(root).items() if not path.startswith(("pay-api/", "vendor/"))}
        where = ("--template", str(one.history.repository), "--ref", "0.2.0", "--no-lock")
        with written() as paths:
            done = twelvefold("rollup", one.service, *where)
        assert done.exit_code in {0, 2}, done.output
        assert {path: file for path, file in tree(root).items() if path in before} == before
        places = (one.service, root / "vendor", root / ".git")
        inside = [path for path in paths if path.is_relative_to(one.folder)]
        assert [path for path in inside if not any(path.is_relative_to(place) for place in places)] == []
        assert (one.service / "vendor").readlink() == Path("../vendor")
        assert hostile or (root / "vendor/chassis/core.py").read_text() == "CORE = 1\n"


def vendored(version: Version, number: int) -> Version:
    """The version with a vendor/."""
    files = {"vendor/chassis/core.py": f"CORE = {number}\n", f"vendor/chassis/of/{number}.py": "OF = 1\n"}
    return replace(version, files={**version.files, **files})


def in_workspace(service: Path) -> Path:
    """Make the folder above the service a workspace that has its vendor/; return it."""
    root = service.parent
    shutil.rmtree(service / ".git")
    (service / "vendor").rename(root / "vendor")
    (service / "vendor").symlink_to("../vendor")
    (root / "pyproject.toml").write_text('[tool.uv.workspace]\nmembers = ["*"]\n', encoding="utf-8")
    (root / "other").mkdir()
    (root / "other/notes.txt").write_text("others'\n", encoding="utf-8")
    git(root, "init", "--quiet")
    return root


def attacked(one: World, attack: str, hostile: str, linked: str, outside: Path) -> None:
    memory = one.service / ".twelvefold"
    target = one.service / linked
    if attack == "manifest":
        manifest = json.loads((memory / "manifest.json").read_bytes())
        manifest[hostile] = manifest["Makefile"]
        (memory / "manifest.json").write_text(json.dumps(manifest))
    elif attack == "answers":
        code = "<< cycler.__init__.__globals__.os.popen('touch OWNED').read() >>"
        stored = json.loads((memory / "answers.json").read_bytes())
        stored |= {"project_name": code, "package_name": hostile}
        (memory / "answers.json").write_text(json.dumps(stored))
    elif target.is_dir():
        shutil.copytree(target, outside / "there")
        shutil.rmtree(target)
        target.symlink_to(outside / "there")
    else:
        shutil.copy(target, outside / "there")
        target.unlink()
        target.symlink_to(outside / "there")


# 12

REVERSED = """
import os, sys
walk, scandir, listdir = os.walk, os.scandir, os.listdir
class Reversed:
    def __init__(self, path): self.entries = iter(list(scandir(path))[::-1])
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def __iter__(self): return self
    def __next__(self): return next(self.entries)
    def close(self): pass
def reversed_walk(*arguments, **options):
    for folder, folders, files in walk(*arguments, **options):
        folders.reverse()
        yield folder, folders, files[::-1]
os.listdir = lambda *path: listdir(*path)[::-1]
os.walk = reversed_walk
os.scandir = lambda path=".": Reversed(path) if isinstance(path, (str, os.PathLike)) else scandir(path)
from twelvefold.cli import main
os.umask(0o077)
main()
"""
ELSEWHERE = {"LC_ALL": "C", "LANG": "C", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "7", "HOME": "/nonexistent"}


@examples(1)
@given(versions(2), answers, edits(OF_THE_TEAM, AGAINST, OF_THE_TEMPLATE))
def test_pure(versions: tuple[Version, ...], answers: Answers, edits: list[Edit]) -> None:
    with world(versions, answers) as one:
        other = one.edited(edits).cloned("other").service
        other = other.rename(other.with_name("A folder of theirs"))
        here = one.rollup(2)
        report = one.folder / "other.json"
        where = ("--template", str(one.history.repository), "--ref", "0.2.0", "--no-lock", "--report", str(report))
        environment = {**os.environ, **ELSEWHERE}
        done = run(sys.executable, "-c", REVERSED, "rollup", ".", *where, cwd=other, env=environment)
        assert done.returncode == here.exit_code, done.stderr
        assert tree(other) == tree(one.service)
        assert json.loads(report.read_text(encoding="utf-8")) == here.report


# 13


@examples(2)
@given(versions(1), edits(OF_THE_TEAM))
def test_there_and_back(versions: tuple[Version, ...], edits: list[Edit]) -> None:
    with world(versions) as one:
        before = tree(one.edited(edits).service)
        on = one.rollup(1, "--answer", "database=true")
        assert tree(one.service) != before
        off = one.rollup(1, "--answer", "database=false")
        assert tree(one.service) == before
        assert (on.exit_code, off.exit_code) == (0, 0)


# And what plain scaraplate promises.


@pytest.mark.slow
@examples(3)
@given(versions(2), answers, READABLE)
def test_both_commands_give_the_same(versions: tuple[Version, ...], answers: Answers, edits: list[Edit]) -> None:
    kept = [edit for edit in edits if edit.kind not in {"delete", "chmod"}]
    first = Version(without_thing(versions[0].files), versions[0].executable, {})
    second = Version({**first.files, **without_thing(versions[1].files)}, versions[1].executable, {})
    with world((first, second), answers) as one:
        plain = one.edited(kept).cloned("plain").service
        one.rollup(2)
        one.scaraplate(2, plain)
        assert tree(plain) == tree(one.service)


def without_thing(files: Mapping[str, str]) -> dict[str, str]:
    """The files without the one that is a folder in other versions."""
    return {path: text for path, text in files.items() if not path.startswith("owned/thing")}


@pytest.mark.deep
def test_the_invariants_hold_for_more_examples() -> None:
    few = ("-m", "not slow and not deep", "--quiet", "--numprocesses", "2", __file__)
    succeed(sys.executable, "-m", "pytest", *few, cwd=TEMPLATE, env={**os.environ, "HYPOTHESIS_EXAMPLES": "15"})
