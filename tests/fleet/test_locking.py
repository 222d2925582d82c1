"""`uv lock` in a fleet: nothing of a service runs, and nothing of its lock is lost. It is the uv that is installed."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import succeed
from locks import BACKEND, Desk
from twelvefold.decisions import Decision, Outcome
from twelvefold.fleet import locking
from twelvefold.fleet.locking import _toml, lock_without_building


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    return Desk(tmp_path)


def test_a_lock_is_made_without_builds(desk: Desk) -> None:
    desk.project("leaf<1.1")
    desk.locked()
    desk.project("leaf<1.1", "other")
    assert lock_without_building(desk.clone, "") is None
    assert desk.versions() == {"leaf": "1.0", "other": "1.0", "service": "1"}
    desk.nothing_ran()
    made = desk.lock.read_bytes()
    assert desk.locked() == made  # the service's pipeline makes the same


@pytest.mark.slow
@pytest.mark.parametrize("requires", ["old", "only", "needs"])
def test_what_only_a_build_can_lock_is_neither_older_nor_gone(requires: str, desk: Desk) -> None:
    desk.project(requires)
    desk.locked()
    assert desk.versions().get("old") in {"2.0", None}
    desk.project(requires, "leaf")
    desk.left("a build")


def test_a_dependency_without_a_wheel_that_nothing_else_touches_is_no_matter(desk: Desk) -> None:
    desk.project("old", "only")
    before = desk.locked()
    desk.project("old", "only", more="[tool.ruff]\nline-length = 99\n")
    assert lock_without_building(desk.clone, "") is None
    assert desk.lock.read_bytes() == before
    desk.nothing_ran()


def test_what_becomes_older_because_the_team_says_so_is_locked(desk: Desk) -> None:
    desk.project("leaf")
    desk.locked()
    desk.project("leaf", more='constraint-dependencies = ["leaf<1.1"]\n')
    assert lock_without_building(desk.clone, "") is None
    assert desk.versions()["leaf"] == "1.0"


@pytest.mark.slow
@pytest.mark.parametrize(
    "project",
    [
        'dynamic = ["version"]',
        'version = "1"\ndynamic = ["dependencies"]',
        'version = "1"\ndynamic = ["optional-dependencies"]',
        'version = "1"\ndependencies = ["leaf >> 1"]',
    ],
)
@pytest.mark.parametrize("more", [BACKEND, "package = true\n"], ids=["backend", "package"])
def test_a_service_whose_own_metadata_need_a_build_is_left_to_itself(project: str, more: str, desk: Desk) -> None:
    desk.project("leaf")
    desk.locked()
    desk.project("leaf", project=project, more=more)
    (desk.clone / "backend.py").write_text(desk.backend("service", "1"), encoding="utf-8")
    (desk.clone / "setup.py").write_text(desk.marker, encoding="utf-8")
    desk.left("its own metadata need a build")


WORKSPACE = '[tool.uv.workspace]\nmembers = ["{member}"]\n[tool.uv.sources]\nm = {{ workspace = true }}\n'


def test_a_member_of_its_workspace_that_needs_a_build_is_not_built(desk: Desk) -> None:
    desk.project("leaf")
    desk.locked()
    desk.project("leaf", "m", more=WORKSPACE.format(member="m"))
    desk.project(project='version = "1"\ndynamic = ["dependencies"]', more=BACKEND, where="m")
    (desk.clone / "m/backend.py").write_text(desk.backend("m", "1"), encoding="utf-8")
    desk.left("its own metadata need a build")
    desk.project("other", more=BACKEND, where="m")
    assert lock_without_building(desk.clone, "") is None
    assert desk.versions() == {"leaf": "1.1", "m": "1", "other": "1.0", "service": "1"}
    desk.nothing_ran()


@pytest.mark.parametrize("member", ["../../elsewhere", "{outside}", "m/../../../elsewhere", "link"])
def test_a_member_outside_of_the_repository_is_not_built(member: str, desk: Desk, tmp_path: Path) -> None:
    desk.project("leaf")
    desk.locked()
    outside = tmp_path / "elsewhere"
    desk.project("leaf", project='version = "1"\ndynamic = ["dependencies"]', more=BACKEND, where="m")
    (desk.clone / "m").rename(outside)
    (outside / "backend.py").write_text(desk.backend("m", "1"), encoding="utf-8")
    (desk.clone / "link").symlink_to(outside)
    (desk.clone / "m").mkdir()
    desk.project("leaf", "m", more=WORKSPACE.format(member=member.format(outside=outside)))
    before = desk.lock.read_bytes()
    decision = lock_without_building(desk.clone, "")
    assert decision is not None
    assert decision.outcome is (Outcome.FAILED if member == "link" else Outcome.LEFT), decision.sentence
    assert desk.lock.read_bytes() == before
    desk.nothing_ran()


def path_of_sources(desk: Desk) -> None:
    desk.project(project='version = "1"\ndynamic = ["dependencies"]', more=BACKEND, where="m")
    (desk.clone / "m/backend.py").write_text(desk.backend("m", "1"), encoding="utf-8")
    desk.project("m", more='[tool.uv.sources]\nm = { path = "m" }\n')


def path_of_setup_py(desk: Desk) -> None:
    (desk.clone / "m").mkdir()
    (desk.clone / "m/setup.py").write_text(desk.marker, encoding="utf-8")
    desk.project("m", more='[tool.uv.sources]\nm = { path = "m" }\n')


def path_of_an_sdist(desk: Desk) -> None:
    desk.sdist("m", "1.0", "clones/service")
    desk.project("m", more='[tool.uv.sources]\nm = { path = "m-1.0.tar.gz" }\n')


def a_repository(desk: Desk) -> None:
    path_of_sources(desk)
    there = desk.folder / "repository"
    (desk.clone / "m").rename(there)
    succeed("git", "init", "--quiet", cwd=there)
    succeed("git", "add", "--all", cwd=there)
    succeed("git", "commit", "--quiet", "--message", "m", cwd=there)
    desk.project("m", more=f'[tool.uv.sources]\nm = {{ git = "file://{there}" }}\n')


@pytest.mark.slow
@pytest.mark.parametrize("source", [path_of_sources, path_of_setup_py, path_of_an_sdist, a_repository])
def test_a_dependency_from_elsewhere_that_needs_a_build_is_not_built(
    source: Callable[[Desk], None], desk: Desk
) -> None:
    desk.project("leaf")
    desk.locked()
    source(desk)
    desk.left("m has no wheel and needs a build")


def test_a_path_to_what_needs_no_build_is_locked(desk: Desk) -> None:
    desk.project("leaf")
    desk.locked()
    desk.wheel("own", "3.0")
    (desk.folder / "index/own-3.0-py3-none-any.whl").rename(desk.clone / "own-3.0-py3-none-any.whl")
    desk.project("other", where="m")
    sources = '[tool.uv.sources]\nown = { path = "own-3.0-py3-none-any.whl" }\nm = { path = "m" }\n'
    desk.project("own", "m", more=sources)
    assert lock_without_building(desk.clone, "") is None
    assert desk.versions() == {"m": "1", "other": "1.0", "own": "3.0", "service": "1"}
    made = desk.lock.read_bytes()
    assert desk.locked() == made


def test_no_interpreter_and_no_uv_of_the_repository_is_run(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.project("leaf")
    desk.locked()
    program = f'#!/bin/sh\ntouch {desk.ran}\nexec python3 "$@"\n'
    for path in (".venv/bin/python", ".venv/bin/python3", "mine", ".tools/bin/uv"):
        (desk.clone / path).parent.mkdir(parents=True, exist_ok=True)
        (desk.clone / path).write_text(program, encoding="utf-8")
        (desk.clone / path).chmod(0o755)
    (desk.clone / ".venv/pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.11.7\n", encoding="utf-8")
    (desk.clone / ".python-version").write_text(f"{desk.clone / 'mine'}\n", encoding="utf-8")
    settings = f'python-downloads-json-url = "file://{desk.clone}/pythons.json"\n'
    desk.project("leaf", "other", more=settings)
    assert lock_without_building(desk.clone, "") is None
    desk.nothing_ran()
    monkeypatch.setattr("shutil.which", lambda name: None)
    decision = lock_without_building(desk.clone, "")
    assert decision is not None
    assert (decision.outcome, "because uv is not here" in decision.note) == (Outcome.FAILED, True)
    desk.nothing_ran()


def test_a_lock_in_a_folder_of_a_monorepo(desk: Desk) -> None:
    desk.project("leaf", where="cart")
    text = (desk.clone / "cart/pyproject.toml").read_text(encoding="utf-8")
    settings = f'[tool.uv]\nno-index = true\nfind-links = ["{desk.folder / "index"}"]\n'
    (desk.clone / "cart/pyproject.toml").write_text(text + settings, encoding="utf-8")
    (desk.clone / "cart/uv.lock").write_text('version = 1\nrequires-python = ">=3.11"\n', encoding="utf-8")
    assert lock_without_building(desk.clone, "cart") is None
    assert b"leaf" in (desk.clone / "cart/uv.lock").read_bytes()
    assert not desk.lock.exists()


def test_the_lock_of_a_workspace_whose_services_share_a_vendor(desk: Desk) -> None:
    (desk.clone / ".git").mkdir()
    desk.project(more='[tool.uv.workspace]\nmembers = ["services/*"]\n')
    write_project(desk.clone / "vendor/c", "c", BACKEND)
    (desk.clone / "vendor/c/backend.py").write_text(desk.backend("c", "1"), encoding="utf-8")
    source = 'dependencies = ["c"]\n[tool.uv.sources]\nc = { path = "vendor/c", editable = true }\n'
    for name in ("cart", "pay"):
        write_project(desk.clone / "services" / name, name, source)
        (desk.clone / "services" / name / "vendor").symlink_to("../../vendor")
    desk.locked()
    write_project(desk.clone / "services/cart", "cart", source.replace('["c"]', '["c", "leaf"]'))
    assert lock_without_building(desk.clone, "services/cart") is None
    assert desk.versions() == {"c": "1", "cart": "1", "leaf": "1.1", "pay": "1", "service": "1"}
    assert not (desk.clone / "services/cart/uv.lock").exists()
    desk.nothing_ran()
    made = desk.lock.read_bytes()
    assert desk.locked() == made


def write_project(folder: Path, name: str, more: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = f'[project]\nname = "{name}"\nversion = "1"\nrequires-python = ">=3.11"\n{more}'
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("requires", "said"), [("leaf==9", "there is no version of leaf==9"), ("nothere", "nothere was not found")]
)
def test_what_no_build_would_solve_is_a_failure(requires: str, said: str, desk: Desk) -> None:
    desk.project("leaf")
    before = desk.locked()
    desk.project("leaf", requires)
    decision = lock_without_building(desk.clone, "")
    assert decision is not None
    assert (decision.outcome, decision.needs_person) == (Outcome.FAILED, True)
    assert said in decision.sentence
    assert desk.lock.read_bytes() == before
    desk.nothing_ran()


def test_what_was_written_half_is_not_taken(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.project("leaf")
    before = desk.locked()

    def killed(project: Path, *options: str) -> Decision:
        (project / "uv.lock").write_bytes(before[:40])
        return Decision(Outcome.FAILED, "uv.lock", note="could not be made new in the time that there was.")

    monkeypatch.setattr(locking, "lock_dependencies", killed)
    decision = lock_without_building(desk.clone, "")
    assert decision is not None
    assert decision.outcome is Outcome.FAILED
    assert desk.lock.read_bytes() == before
    desk.nothing_ran()


def test_a_lock_that_is_a_link_is_left_alone(desk: Desk, tmp_path: Path) -> None:
    desk.project("leaf")
    (tmp_path / "elsewhere").write_text("mine", encoding="utf-8")
    desk.lock.symlink_to(tmp_path / "elsewhere")
    desk.left("it is a symbolic link")


scalars = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(),
    st.dates(min_value=date(1000, 1, 1)),
    st.datetimes(min_value=datetime(1000, 1, 1)),
    st.times(),
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(st.dictionaries(st.text(), values))
def test_what_uv_reads_of_a_file_is_what_stands_there(content: dict[str, Any]) -> None:
    assert tomllib.loads("".join(f"{_toml(name)} = {_toml(value)}\n" for name, value in content.items())) == content


kinds = st.sampled_from(["wheels", "sdist"])
packages = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(1, 3), kinds), max_size=4)


def lock_of(content: dict[str, tuple[int, str]]) -> bytes:
    source = 'source = { registry = "https://pypi.org/simple" }'
    tables = [
        f'[[package]]\nname = "{name}"\nversion = "{version}"\n{source}\n'
        + ("wheels = [{ url = 'x' }]" if kind == "wheels" else "")
        for name, (version, kind) in content.items()
    ]
    return "\n".join(["version = 1", *tables]).encode()


@given(packages, packages)
def test_a_lock_that_is_taken_has_all_that_was_built_and_nothing_older(
    before: dict[str, tuple[int, str]], after: dict[str, tuple[int, str]]
) -> None:
    lost = locking._lost(lock_of(before), lock_of(after))
    for name, (version, kind) in before.items():
        now = after.get(name)
        is_older = now is not None and now[0] < version
        is_gone = kind == "sdist" and (now is None or now[0] != version)
        assert (name in lost) == (is_older or is_gone)
    assert set(lost) <= set(before)


@pytest.mark.parametrize(
    "limit",
    [
        '[[package]]\nname = "service"\n[package.metadata]\nrequires-dist = [{ name = "a", specifier = "<2" }]\n',
        '[[package]]\nname = "service"\n[package.metadata.requires-dev]\ndev = [{ name = "a", specifier = "<2" }]\n',
        '[manifest]\nconstraints = [{ name = "a", specifier = "<2" }]\n',
        '[manifest]\noverrides = [{ name = "a", specifier = "<2" }]\n',
    ],
)
def test_what_becomes_older_because_something_says_so_is_not_lost(limit: str) -> None:
    before, after = lock_of({"a": (2, "wheels")}), lock_of({"a": (1, "wheels")}) + b"\n"
    assert locking._lost(before, after) == ["a"]
    assert locking._lost(before, after + limit.encode()) == []
