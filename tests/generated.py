"""Template histories, services and the edits of teams, generated: what the invariants are tested on."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result
from hypothesis import strategies as st

from conftest import git
from forks import Answers
from histories import MERGED, SLUG, History, twelvefold
from rendered import render
from twelvefold.engine.rendering.imports import imports_apart

OWNED: Mapping[str, tuple[str | None, ...]] = {
    "Makefile": ("run:\n\techo run\n", "run:\n\techo walk\n"),
    "owned/core.py": ('"""Core."""\n', "CORE = 1\n", "", None),
    "owned/run.sh": ("#!/bin/sh\necho run\n", "#!/bin/sh\n", None),
    "owned/deep/far.txt": (None, "far\n", "far\r\naway"),
}
A_FILE_OR_A_FOLDER = ("owned/thing", "owned/thing/inner.txt", None)
SEEDS: Mapping[str, str] = {"seeds/api.py": '"""Ours."""\n', "seeds/other.py": "", "README.md": "# Pay\n"}
RENAMES = {"owned/core.py": "owned/kernel.py", "seeds/api.py": "seeds/http.py", "notes.txt": "docs/notes.txt"}
DEPENDENCIES = (
    ('"anyio"', None),
    ('"click"', '"click>=8"', None),
    ('"fastapi>=0.100"', '"fastapi>=0.110"'),
    (None, '"httpx[http2]>=0.27"'),
    (None, "'tomli; python_version < \"3.11\"'"),
    ('"uvicorn"', None),
)
JOBS = {
    "lint": ("make lint", "make lint types", None),
    "test": ("make test", "make test ARGS=-q"),
    "deploy": (None, "make deploy"),
}
IGNORED = ((".cache/", None), ("*.pyc",), ("build/", None), ("*.log", None), ("!keep.log", None))
VARIABLES = {"PORT": ("8000", "8080"), "LOG_LEVEL": ("info", "debug", None), "TOKEN": (None, "")}
OPTIONS = {"level": ("info", "warning"), "format": ("%(message)s", "50%", None), "color": (None, "no")}
LINES = (("one",), ("two", "2"), ("three", "3", None), ("four", None), ("five", "5"), ("six",))


@dataclass(frozen=True)
class Version:
    """One version of a template: its files, those of them that can be executed, and what it calls files now."""

    files: Mapping[str, str]
    executable: frozenset[str]
    moved: Mapping[str, str]


@dataclass(frozen=True)
class Edit:
    """What a team does to one file; it does nothing where there is no such file or no such place in it."""

    kind: str  # insert (behind the line `old`), replace, append, prepend, write, delete, chmod, crlf, bom
    path: str
    old: str = ""
    new: str = ""

    def at(self, moved: Mapping[str, str]) -> Edit:
        """The same edit where the file has moved to."""
        return replace(self, path=moved.get(self.path, self.path))

    def does_something(self, service: Path) -> bool:
        """Whether it would change the service by changing what stands in a file, or making one."""
        path = service / self.path
        if not path.is_file():
            return self.kind == "write"
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        return self.kind == "write" or self.change(text) != text

    def apply(self, service: Path) -> None:
        """Change the file."""
        path = service / self.path
        if self.kind == "write" and not any(part.is_file() for part in path.parents):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.new.encode("utf-8", "surrogateescape"))
        if not path.is_file():
            return
        if self.kind == "delete":
            path.unlink()
        elif self.kind == "chmod":
            path.chmod(path.stat().st_mode ^ 0o111)
        else:
            content = path.read_bytes()
            changed = self.change(content.decode("utf-8", "surrogateescape"))
            path.write_bytes(changed.encode("utf-8", "surrogateescape"))

    def change(self, text: str) -> str:
        """The text after the edit."""
        newline = "\r\n" if "\r\n" in text else "\n"
        new = self.new.replace("\n", newline)
        if self.kind == "crlf":
            return text.replace("\r\n", "\n").replace("\n", "\r\n")
        if self.kind == "bom":
            return "\ufeff" + text.removeprefix("\ufeff")
        if self.kind == "replace":
            return text.replace(self.old, new, 1)
        if self.kind == "append":
            return text + new if text.endswith("\n") or not text else text + newline + new
        if self.kind == "prepend":
            mark = "\ufeff" if text.startswith("\ufeff") else ""
            return mark + new + text.removeprefix(mark)
        if self.kind == "insert":
            lines = text.splitlines(True)
            places = [index for index, line in enumerate(lines) if line.rstrip("\r\n") == self.old]
            return "".join([*lines[: places[0] + 1], new, *lines[places[0] + 1 :]]) if places else text
        return text

    def marks(self) -> set[str]:
        """The lines that are in the file after it, and the team's."""
        lines = self.new.splitlines() if self.kind in {"insert", "append", "prepend"} else []
        return {line.strip() for line in lines if line.strip()}


# In places that the template does not own, and never changes.
OF_THE_TEAM = (
    Edit("write", "src/ours.py", new="OURS = True\n"),
    Edit("write", "data/ours.bin", new="\udcff\x00\r\n"),
    Edit("write", "docs/Ä ö [x].md", new="# Ours"),
    Edit("write", "owned/ours.py", new="OURS = True\n"),
    Edit("write", "README.md", new="# Ours\r\n"),
    Edit("append", "seeds/other.py", new="OURS = True\n"),
    Edit("insert", "pyproject.toml", "dependencies = [", '  "aiofiles>=24",  # for uploads\n'),
    Edit("insert", "pyproject.toml", '  "fastapi>=0.100",', '  # ours\n  "numpy>=2",\n'),
    Edit("insert", "pyproject.toml", '  "uvicorn",', '  "zstandard",\n'),
    Edit("append", "pyproject.toml", new="\n# Ours\n[tool.ours]\nkey = [1, 2]  # ours\n"),
    Edit("insert", "pyproject.toml", "[tool.ruff]", 'target-version = "py312"  # ours\n'),
    Edit("replace", "pyproject.toml", "select = [", 'select = ["ASYNC", '),
    Edit("prepend", "pyproject.toml", new="# This is ours.\n\n"),
    Edit("append", "ci.yml", new="\n# Ours\nours:\n  script:\n    - make ours\n"),
    Edit("prepend", "ci.yml", new="# See our wiki.\n"),
    Edit("replace", "ci.yml", "stages: [", "stages: [ours, "),
    Edit("insert", "ci.yml", "test:", '  image: "python:3.10"  # ours\n'),
    Edit("append", ".gitignore", new="\n# Ours\n/ours.tmp\n"),
    Edit("insert", ".gitignore", "*.pyc", "!ours.pyc\n"),
    Edit("append", ".env.example", new="# Ours.\nOURS=1\n"),
    Edit("prepend", ".env.example", new="OURS_FIRST=1\n"),
    Edit("insert", "config/legacy.json", "{", '  "ours": {"key": [1,  2]},\n'),
    Edit("insert", "config/legacy.json", '  "log": {', '    "ours": 1,\n'),
    Edit("append", "notes.txt", new="ours\n"),
    Edit("prepend", "notes.txt", new="ours, first\n"),
)
# In places where the template may change its mind too.
AGAINST = (
    Edit("replace", "pyproject.toml", "line-length = 100", "line-length = 120"),
    Edit("replace", "pyproject.toml", '  "click",\n'),
    Edit("replace", "pyproject.toml", '"fastapi>=0.100",', '"FastAPI>=0.99,<1",  # ours'),
    Edit("replace", "pyproject.toml", "[tool.ruff.lint]\n"),
    Edit("replace", "pyproject.toml", '"E", '),
    Edit("replace", "ci.yml", "make test", "make test FAST=1"),
    Edit("replace", "ci.yml", "lint:\n  stage: check\n  script:\n    - make lint\n\n"),
    Edit("replace", "ci.yml", "[check, test]", "[test]"),
    Edit("replace", ".gitignore", "*.pyc\n"),
    Edit("replace", ".gitignore", "build/", "/build/"),
    Edit("replace", ".env.example", "#PORT=8000", "PORT=9000"),
    Edit("replace", ".env.example", "#LOG_LEVEL=info\n"),
    Edit("replace", "config/legacy.json", '"level": "info"', '"level": "error"'),
    Edit("replace", "config/legacy.json", '    "format": "%(message)s",\n'),
    Edit("replace", "notes.txt", "two", "TWO"),
    Edit("replace", "notes.txt", "four\n"),
    Edit("write", "owned/deep/far.txt", new="ours\n"),
    Edit("write", "docs/notes.txt", new="ours\n"),
    *(Edit("delete", path) for path in MERGED),
    *(Edit("delete", path) for path in SEEDS),
    *(Edit("chmod", path) for path in (*MERGED, *SEEDS)),
    *(Edit(kind, path) for path in MERGED for kind in ("crlf", "bom")),
)
# In what the template owns.
OF_THE_TEMPLATE = (
    Edit("append", "Makefile", new="ours:\n"),
    Edit("write", "owned/core.py", new="PATCHED = 1\n"),
    *(Edit(kind, path) for path in ("owned/core.py", "owned/run.sh") for kind in ("delete", "chmod", "crlf")),
    Edit("replace", "pyproject.toml", '"click==8"', '"click==7"'),
    Edit("replace", "pyproject.toml", 'constraint-dependencies = ["click==8", "fastapi==0.100"]\n'),
)
BREAKING = (
    Edit("replace", "pyproject.toml", "[project]", "[project"),
    Edit("append", "ci.yml", new="  - : [\n"),
    Edit("append", "config/legacy.json", new='{"log\n'),
    Edit("append", "notes.txt", new="\udcff\n"),
    Edit("append", ".env.example", new="\udcff\n"),
)


@st.composite
def versions(draw: st.DrawFn, count: int) -> tuple[Version, ...]:
    """Versions of one template, each unlike the others in anything; a file that was renamed stays so."""
    since = {old: draw(st.sampled_from((None, *range(1, count)))) for old in RENAMES}
    moved = [
        {old: new for old, new in RENAMES.items() if (place := since[old]) is not None and number >= place}
        for number in range(count)
    ]
    return tuple(draw(version(names)) for names in moved)


@st.composite
def version(draw: st.DrawFn, moved: Mapping[str, str]) -> Version:
    """A version of a template, in which the files `moved` have new names."""
    choices = {path: draw(st.sampled_from(texts)) for path, texts in OWNED.items()}
    files = {path: text for path, text in choices.items() if text is not None}
    if thing := draw(st.sampled_from(A_FILE_OR_A_FOLDER)):
        files[thing] = "thing\n"
    files |= {path: text for path, text in SEEDS.items() if draw(st.booleans()) or path == "README.md"}
    files |= {
        "pyproject.toml": draw(pyproject()),
        "ci.yml": draw(pipeline()),
        ".gitignore": "# Caches\n" + _lines(_chosen(draw, IGNORED)),
        ".env.example": draw(environment()),
        "config/legacy.json": draw(options()),
        "notes.txt": _lines(_chosen(draw, LINES)),
    }
    for folder in ("owned", "seeds"):
        if draw(st.booleans()):
            files[f"{folder}/<% if cookiecutter.database %>database.py<% endif %>"] = "DATABASE = True\n"
    renamed = {moved.get(path, path): text for path, text in files.items()}
    executable = frozenset(path for path in ("owned/run.sh", "notes.txt") if draw(st.booleans()))
    return Version(renamed, executable, moved)


def _chosen(draw: st.DrawFn, pool: tuple[tuple[str | None, ...], ...]) -> list[str]:
    return [text for texts in pool if (text := draw(st.sampled_from(texts))) is not None]


def _named(draw: st.DrawFn, pool: Mapping[str, tuple[str | None, ...]]) -> dict[str, str]:
    chosen = {name: draw(st.sampled_from(values)) for name, values in pool.items()}
    return {name: value for name, value in chosen.items() if value is not None}


def _lines(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


@st.composite
def pyproject(draw: st.DrawFn) -> str:
    """A pyproject.toml with a dependency that hangs on an answer."""
    dependencies = [f"  {one},\n" for one in _chosen(draw, DEPENDENCIES)]
    dependencies.insert(-1, '  <% if cookiecutter.database %>\n  "sqlalchemy",\n  <% endif %>\n')
    pinned = draw(st.sampled_from(('"click==8", "fastapi==0.100"', '"click==9"', '"click==8"')))
    parts = [
        '[project]\nname = "<< cookiecutter.project_slug >>"\nversion = "0.1.0"\n',
        f"dependencies = [\n{''.join(dependencies)}]\n",
        f"\n[tool.uv]\nconstraint-dependencies = [{pinned}]\n",
    ]
    length = draw(st.sampled_from((100, 110, None)))
    select = draw(st.sampled_from(('"E", "F"', '"E", "F", "I"', '"B", "F"', None)))
    parts += [f"\n# Style.\n[tool.ruff]\nline-length = {length}\n"] if length else []
    parts += [f"\n[tool.ruff.lint]\nselect = [{select}]\n"] if select else []
    parts += ["\n[tool.mypy]\nstrict = true\n"] if draw(st.booleans()) else []
    return "".join(parts)


@st.composite
def pipeline(draw: st.DrawFn) -> str:
    """A pipeline of jobs."""
    stages = draw(st.sampled_from(("check, test", "check, test, deploy", "test")))
    jobs = _named(draw, JOBS)
    stage = {"lint": "check", "test": "test", "deploy": "deploy"}
    parts = [
        f"{name}:\n  stage: {stage[name]}\n  script:\n    - {script}\n"
        + ("  services: [postgres]\n" if name == "test" and draw(st.booleans()) else "")
        for name, script in jobs.items()
    ]
    return f"stages: [{stages}]\n\n" + "\n".join(parts)


@st.composite
def environment(draw: st.DrawFn) -> str:
    """An .env.example whose variables are commented out."""
    return "".join(f"# The {name}.\n#{name}={value}\n" for name, value in _named(draw, VARIABLES).items())


@st.composite
def options(draw: st.DrawFn) -> str:
    """A JSON file, with a member that hangs on an answer."""
    log = "".join(f'    "{name}": "{value}",\n' for name, value in _named(draw, OPTIONS).items())
    pool = '  "database": {"pool": 5},\n'
    database = f"<% if cookiecutter.database %>\n{pool}<% endif %>\n" if draw(st.booleans()) else ""
    return f'{{\n  "log": {{\n{log}    "propagate": true\n  }},\n{database}  "version": 1\n}}\n'


def edits(*pools: tuple[Edit, ...]) -> st.SearchStrategy[list[Edit]]:
    """What a team did before a rollup."""
    return st.lists(st.one_of(*map(st.sampled_from, pools)), max_size=8, unique=True)


answers = st.fixed_dictionaries({"database": st.booleans(), "ci": st.sampled_from(["gitlab", "github"])})


@dataclass(frozen=True)
class Rolled:
    """What a rollup said."""

    exit_code: int
    output: str
    report: Mapping[str, Any]

    @property
    def decided(self) -> set[str]:
        """The paths that it decided something about."""
        return {decision["path"] for decision in self.report["decisions"]}

    @property
    def unread(self) -> set[str]:
        """The paths that it could not merge."""
        return {one["path"] for one in self.report["decisions"] if one["outcome"] == "unreadable"}


@dataclass(frozen=True)
class World:
    """A template with released versions, and a service that was rendered at the first."""

    folder: Path
    versions: tuple[Version, ...]
    answers: Answers
    history: History
    service: Path

    def fresh(self, number: int, name: str = "fresh", **answers: str | bool) -> Path:
        """What cookiecutter renders at a version, in a folder that is no repository."""
        self.history.repository.joinpath("hooks").mkdir(exist_ok=True)
        _put(self.history, self.versions, number)
        self.history.write(_name(number))
        return render(self.folder / f"{name}-{number}", self.history.repository, **{**self.answers, **answers})

    def rollup(self, number: int, *arguments: str, service: Path | None = None, is_dry: bool = False) -> Rolled:
        """Commit what is in the service and roll it up to a version."""
        service = service or self.service
        if not is_dry:
            save(service)
        report = self.folder / "report.json"
        where = ("--template", str(self.history.repository), "--ref", _name(number))
        done = twelvefold("rollup", service, *where, "--no-lock", "--report", report, *arguments)
        assert done.exit_code in {0, 1, 2}, done.output
        assert report.exists(), done.output
        told = json.loads(report.read_text(encoding="utf-8"))
        report.unlink()
        return Rolled(done.exit_code, done.output, told)

    def scaraplate(self, number: int, service: Path) -> Result:
        """Roll a service up with plain scaraplate, its own command."""
        from scaraplate.__main__ import main

        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "template"
            options = ("--quiet", "--branch", _name(number), "--config", "advice.detachedHead=false")
            git(Path(name), "clone", *options, str(self.history.repository), str(folder))
            with imports_apart(folder):
                arguments = ["rollup", str(folder), str(service), "--no-input"]
                done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done

    def edited(self, edits: list[Edit]) -> World:
        """Apply edits to the service."""
        for edit in edits:
            edit.apply(self.service)
        return self

    def cloned(self, name: str) -> World:
        """The same with another copy of the service."""
        service = self.folder / name / SLUG
        service.parent.mkdir()
        save(self.service)
        git(self.folder, "clone", "--quiet", str(self.service), str(service))
        return replace(self, service=service)


def _name(number: int) -> str:
    return f"0.{number}.0"


def _put(history: History, versions: tuple[Version, ...], number: int) -> None:
    version = versions[number - 1]
    history.files = dict(version.files)
    history.executable = set(version.executable)
    history.migrations = {"paths": dict(version.moved)}


def save(service: Path) -> None:
    """Commit all there is, as a team does before a rollup."""
    git(service, "add", "--all")
    git(service, "commit", "--quiet", "--allow-empty", "--message", "The team's")


@contextmanager
def world(versions: tuple[Version, ...], answers: Answers | None = None) -> Iterator[World]:
    """Release the versions as 0.1.0, 0.2.0 and so on, and render and commit a service at the first."""
    with tempfile.TemporaryDirectory(prefix="world-") as name:
        folder = Path(name)
        (folder / "template").mkdir()
        history = History(folder / "template")
        service = folder / "none"
        for number in range(1, len(versions) + 1):
            _put(history, versions, number)
            history.release(_name(number))
            if number == 1:
                service = render(folder / "services", history.repository, **answers or {})
        git(service, "init", "--quiet")
        save(service)
        yield World(folder, versions, answers or {}, history, service)
