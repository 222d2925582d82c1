"""One template with three versions, written down once, and made for each tool in its own dialect.

`@slug@`, `@package@` and `@description@` stand for the answers; every dialect has its own spelling of them.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import textwrap
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
ANSWERS = {"slug": "pay-api", "package": "pay_api", "description": "Takes payments."}
VERSIONS = ("v1", "v2", "v3")
OWNED, SHARED, SEED = "owned", "shared", "seed"
CHASSIS = "vendor/chassis/src/chassis"
RENAMED = {"docs/operations.md": "docs/runbook.md", f"{CHASSIS}/metrics.py": f"{CHASSIS}/telemetry.py"}
MODULES = (
    *("settings", "logging", "health", "lifecycle", "errors", "context", "limits", "server", "signals", "startup"),
    *("shutdown", "security", "headers", "pagination", "retry", "clock", "cache", "queue"),
    *("features", "versions", "probes", "events"),
)


@dataclass(frozen=True, slots=True)
class Item:
    """A file of the template: whose it is, its text or bytes, and whether it can be executed."""

    owner: str
    content: str | bytes
    is_executable: bool = False

    @property
    def is_rendered(self) -> bool:
        """Whether it holds an answer."""
        return isinstance(self.content, str) and "@" in self.content


def text(content: str) -> str:
    return textwrap.dedent(content).lstrip("\n")


def picture(shade: int) -> bytes:
    """A PNG of one grey pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes([0, shade]))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def module(name: str, level: str = "info") -> str:
    return text(
        f'''
        """The {name} of a service."""

        from __future__ import annotations

        NAME = "{name}"
        LEVEL = "{level}"


        def describe() -> str:
            """Say what this is."""
            return f"{{NAME}} at {{LEVEL}}"


        def is_quiet() -> bool:
            """Whether it says little."""
            return LEVEL in ("warning", "error")
        '''
    )


def files(version: str) -> dict[str, Item]:
    """Path → file of the template at `version`."""
    number = VERSIONS.index(version) + 1
    found = {**_shared(number), **_scripts(number), **_documents(number), **_seeds()}
    levels = {"logging": "debug" if number > 1 else "info", "health": "error" if number > 2 else "info"}
    for name in MODULES:
        found[f"{CHASSIS}/{name}.py"] = Item(OWNED, module(name, levels.get(name, "info")))
    found[f"{CHASSIS}/__init__.py"] = Item(OWNED, '"""What every service has."""\n')
    metrics = f"{CHASSIS}/metrics.py"
    found[RENAMED[metrics] if number > 1 else metrics] = Item(OWNED, module("metrics"))
    if number > 1:
        found[f"{CHASSIS}/tracing.py"] = Item(OWNED, module("tracing"))
    if number < 3:
        found[f"{CHASSIS}/legacy.py"] = Item(OWNED, module("legacy"))
    found["assets/logo.png"] = Item(OWNED, picture(number))
    return found


def _shared(number: int) -> dict[str, Item]:
    shared = {
        "pyproject.toml": _pyproject(number),
        "setup.cfg": _setup_cfg(number),
        "tox.ini": _tox(number),
        ".gitlab-ci.yml": _pipeline(number),
        ".pre-commit-config.yaml": _hooks(number),
        "compose.yaml": _compose(number),
        "mkdocs.yml": _site(number),
        ".yamllint.yaml": f"extends: default\nrules:\n  line-length:\n    max: {100 if number < 2 else 120}\n",
        ".gitignore": _ignored(number),
        ".env.example": "# The port.\nPORT=8000\n" + ("# The level.\nLOG_LEVEL=info\n" if number > 1 else ""),
    }
    return {path: Item(SHARED, content) for path, content in shared.items()}


def _ignored(number: int) -> str:
    added = "# Builds\ndist/\n\n" if number > 1 else ""
    return f"# Caches\n.cache/\n*.log\n\n{added}# Secrets\n.env\n"


def _site(number: int) -> str:
    name = "@slug@" if number < 3 else "@slug@ handbook"
    return f"site_name: {name}\ntheme: material\nnav:\n  - index.md\n"


def _operations(number: int) -> str:
    advice = "Ask the platform team first." if number > 1 else "Ask somebody."
    return (
        f"# Operations\n\n## Alerts\n\n{advice}\n\n## Backups\n\nEvery night.\n\n## Restore\n\nFrom the last backup.\n"
    )


def _pyproject(number: int) -> str:
    added = '  "httpx>=0.27",\n' if number > 1 else ""
    return (
        '[project]\nname = "@slug@"\nversion = "0.1.0"\ndescription = "@description@"\n'
        'requires-python = ">=3.11"\ndependencies = [\n  "click>=8",\n  "fastapi>=0.110",\n'
        f'{added}  "pydantic>=2",\n  "uvicorn>=0.30",\n]\n\n'
        f"[tool.ruff]\nline-length = {100 if number < 3 else 120}\n\n"
        f'[tool.ruff.lint]\nselect = ["E", "F"{", " + chr(34) + "B" + chr(34) if number > 1 else ""}]\n\n'
        '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n\n'
        '[build-system]\nrequires = ["hatchling"]\nbuild-backend = "hatchling.build"\n'
    )


def _setup_cfg(number: int) -> str:
    added = "warn_unreachable = true\n" if number > 1 else ""
    return f"[flake8]\nmax-line-length = {100 if number < 3 else 120}\n\n[mypy]\nstrict = true\n{added}"


def _tox(number: int) -> str:
    added = "\n[testenv:lint]\ncommands = ruff check\n" if number > 1 else ""
    return f"[tox]\nenvlist = py311{',py313' if number > 2 else ''}\n\n[testenv]\ncommands = pytest\n{added}"


def _pipeline(number: int) -> str:
    more = " types" if number > 1 else ""
    image = "3.11" if number < 3 else "3.13"
    return text(
        f"""
        stages: [check, test]

        default:
          image: python:{image}

        lint:
          stage: check
          script:
            - make lint{more}

        test:
          stage: test
          script:
            - make test
        """
    )


def _hooks(number: int) -> str:
    added = "      - id: check-toml\n" if number > 1 else ""
    return (
        "repos:\n  - repo: https://github.com/pre-commit/pre-commit-hooks\n"
        f"    rev: {'v4.5.0' if number < 3 else 'v5.0.0'}\n    hooks:\n      - id: end-of-file-fixer\n{added}"
        "      - id: trailing-whitespace\n"
    )


def _compose(number: int) -> str:
    return text(
        f"""
        services:
          api:
            build: .
            ports: ["8000:8000"]

          postgres:
            image: postgres:{16 if number < 2 else 17}
            environment:
              POSTGRES_DB: "@package@"
        """
    )


def _scripts(number: int) -> dict[str, Item]:
    found = {
        "Makefile": Item(OWNED, f"lint:\n\truff check\n\ntest:\n\tpytest{' -q' if number > 1 else ''}\n"),
        "Dockerfile": Item(
            OWNED, f"FROM python:{'3.11' if number < 3 else '3.13'}-slim\nCOPY . .\nCMD ./scripts/run.sh\n"
        ),
        ".editorconfig": Item(OWNED, "root = true\n\n[*]\nend_of_line = lf\n"),
        ".dockerignore": Item(OWNED, ".git\n.cache\n"),
        "scripts/run.sh": Item(OWNED, "#!/bin/sh\nexec python -m service\n", is_executable=True),
        "scripts/release.sh": Item(OWNED, '#!/bin/sh\ngit tag "$1"\n', is_executable=True),
        "scripts/lint.sh": Item(OWNED, "#!/bin/sh\nruff check\n", is_executable=number > 2),
    }
    if number > 1:
        found["scripts/check.sh"] = Item(OWNED, "#!/bin/sh\nmake lint test\n", is_executable=True)
    return found


def _documents(number: int) -> dict[str, Item]:
    paragraphs = ("make run", "make test" if number < 2 else "make test lint", "make release")
    found = {
        "README.md": f"# @slug@\n\n@description@\n\n## Run\n\n    {paragraphs[0]}\n\n## Test\n\n    {paragraphs[1]}\n\n"
        f"## Release\n\n    {paragraphs[2]}\n",
        "docs/index.md": "# @slug@\n\n@description@\n",
        RENAMED["docs/operations.md"] if number > 1 else "docs/operations.md": _operations(number),
        "docs/windows.md": f"# Windows\n\nUse WSL{'' if number < 2 else ' 2'}.\n",
    }
    if number > 1:
        found["docs/faq.md"] = "# Questions\n\nWhy a chassis? Because.\n"
    if number < 3:
        found["docs/legacy.md"] = "# How it was\n\nWith a cron job.\n"
    return {path: Item(SHARED, content) for path, content in found.items()}


def _seeds() -> dict[str, Item]:
    package = "src/@package@"
    return {
        f"{package}/__init__.py": Item(SEED, '"""The team\'s."""\n'),
        f"{package}/api.py": Item(SEED, module("api")),
        f"{package}/example.py": Item(SEED, module("example")),
        f"{package}/models.py": Item(SEED, module("models")),
        f"{package}/settings.py": Item(SEED, module("the team's settings")),
        "tests/conftest.py": Item(SEED, '"""What tests share."""\n'),
        "tests/test_api.py": Item(SEED, "def test_api() -> None:\n    assert True\n"),
        "tests/test_example.py": Item(SEED, "def test_example() -> None:\n    assert True\n"),
        "config/settings.toml": Item(SEED, 'level = "info"\n'),
    }


def filled(content: str) -> str:
    """`content` with the answers, as every tool must render it."""
    for name, answer in ANSWERS.items():
        content = content.replace(f"@{name}@", answer)
    return content


def spelled(content: str, spelling: Callable[[str], str]) -> str:
    """`content` with each answer as a dialect spells it."""
    for name in ANSWERS:
        content = content.replace(f"@{name}@", spelling(name))
    return content


# --- the dialects -----------------------------------------------------------------------------------------------


def in_cookiecutter(name: str) -> str:
    return f"{{{{ cookiecutter.{name} }}}}"


def in_ours(name: str) -> str:
    names = {"slug": "project_slug", "package": "package_name"}
    return f"<< cookiecutter.{names.get(name, name)} >>"


def write(folder: Path, version: str, spelling: Callable[[str], str], suffix: str = "") -> None:
    """Write the template's files into `folder`; `suffix` marks those that hold answers."""
    if folder.exists():
        shutil.rmtree(folder)
    for path, item in files(version).items():
        marked = suffix if item.is_rendered else ""
        target = folder / f"{spelled(path, spelling).replace('{{ ', '{{').replace(' }}', '}}')}{marked}"
        target.parent.mkdir(parents=True, exist_ok=True)
        content = item.content
        target.write_bytes(spelled(content, spelling).encode() if isinstance(content, str) else content)
        target.chmod(0o755 if item.is_executable else 0o644)


def write_cruft(repository: Path, version: str) -> None:
    write(repository / "{{cookiecutter.slug}}", version, in_cookiecutter)
    (repository / "cookiecutter.json").write_text(json.dumps(ANSWERS))


def write_scaraplate(repository: Path, version: str) -> None:
    """As its documentation advises: a context file, and of its own strategies the one that loses least."""
    write(repository / "{{cookiecutter.project_dest}}", version, in_cookiecutter)
    (repository / "cookiecutter.json").write_text(json.dumps({"project_dest": "pay-api", **ANSWERS}))
    (repository / "{{cookiecutter.project_dest}}/.scaraplate.conf").write_text(SCARAPLATE_CONF)
    merge = {"strategy": "scaraplate.strategies.ConfigParserMerge"}
    everything = {"preserve_sections": [{"sections": "^testenv:"}], "preserve_keys": [{"sections": ".", "keys": "."}]}
    shared = dict.fromkeys(
        (path for path, item in files(version).items() if item.owner == SHARED), "scaraplate.strategies.TemplateHash"
    )
    rules: dict[str, Any] = {
        path: {"strategy": name, "config": {"line_comment_start": "<!--"}} if path.endswith(".md") else name
        for path, name in shared.items()
    }
    rules |= {
        ".gitignore": "scaraplate.strategies.SortedUniqueLines",
        "setup.cfg": {**merge, "config": {"preserve_sections": [], "preserve_keys": everything["preserve_keys"]}},
        "tox.ini": {**merge, "config": {**everything, "preserve_keys": []}},
        "README.md": "scaraplate.strategies.IfMissing",
        "src/{{ cookiecutter.package }}/*": "scaraplate.strategies.IfMissing",
        "tests/*": "scaraplate.strategies.IfMissing",
        "config/*": "scaraplate.strategies.IfMissing",
    }
    document = {
        "git_remote_type": "scaraplate.gitremotes.GitHub",
        "default_strategy": "scaraplate.strategies.Overwrite",
        "strategies_mapping": rules,
    }
    (repository / "scaraplate.yaml").write_text(yaml.safe_dump(document))


SCARAPLATE_CONF = text(
    """
    [cookiecutter_context]
    {%- for key, value in cookiecutter.items()|sort %}
    {%- if key not in ('_output_dir', '_repo_dir', '_checkout') %}
    {{ key }} = {{ value }}
    {%- endif %}
    {%- endfor %}
    """
)


def write_copier(repository: Path, version: str) -> None:
    write(repository / "template", version, lambda name: f"{{{{ {name} }}}}", ".jinja")
    answers = repository / "template/{{_copier_conf.answers_file}}.jinja"
    answers.write_text("{{ _copier_answers|to_nice_yaml -}}\n")
    questions = {name: {"type": "str", "default": answer} for name, answer in ANSWERS.items()}
    (repository / "copier.yml").write_text(yaml.safe_dump({"_subdirectory": "template", **questions}))


MERGED_KEYS: Mapping[str, Mapping[str, Any]] = {
    "pyproject.toml": {
        "format": "toml",
        "keys": {
            "project": "team",
            "project.requires-python": "default",
            "project.dependencies": {"members": "requirement"},
            "tool.ruff.lint.select": {"members": "value"},
        },
    },
    ".gitlab-ci.yml": {"format": "yaml", "keys": {"": "members", "stages": {"members": "value"}}},
    ".pre-commit-config.yaml": {
        "format": "yaml",
        "keys": {"repos": {"members": "repo"}, "repos.*.hooks": {"members": "id"}},
    },
    "compose.yaml": {"format": "yaml", "keys": {"services": "members"}},
    "mkdocs.yml": {"format": "yaml", "keys": {"nav": {"members": "value"}}},
    ".yamllint.yaml": {"format": "yaml"},
    ".gitignore": {"format": "ignore"},
    ".env.example": {"format": "env"},
}


def write_ours(repository: Path, version: str) -> None:
    write(repository / "<<cookiecutter.project_slug>>", version, in_ours)
    real = json.loads((ROOT / "cookiecutter.json").read_text(encoding="utf-8"))
    questions = {
        "project_name": "Pay API",
        "project_slug": ANSWERS["slug"],
        "package_name": ANSWERS["package"],
        "description": ANSWERS["description"],
        "_template_url": str(repository),
        "_template_version": f"0.{version[1:]}.0",
        **{name: real[name] for name in ("_copy_without_render", "_jinja2_env_vars", "_extensions")},
    }
    (repository / "cookiecutter.json").write_text(json.dumps(questions))
    (repository / "twelvefold_answers.py").write_text(EXTENSION)
    (repository / "hooks").mkdir(exist_ok=True)
    shutil.copy(ROOT / "hooks/post_gen_project.py", repository / "hooks")
    (repository / "scaraplate.yaml").write_text(yaml.safe_dump(our_rules(version), sort_keys=False))


def our_rules(version: str) -> dict[str, Any]:
    """scaraplate.yaml in the way of this repository's own."""
    rules = yaml.safe_load((ROOT / "scaraplate.yaml").read_text(encoding="utf-8"))
    names = {word: strategy for strategy, word in rules["ownership"].items()}
    mapping: dict[str, Any] = {
        f".twelvefold/{name}.json": names["owned"] for name in ("answers", "manifest", "template")
    }
    for path, item in files(version).items():
        if item.owner == SHARED:
            config = {"path": path, "format": "text", **MERGED_KEYS.get(path, {})}
            mapping[path] = {"strategy": names["merged"], "config": config}
            mapping[f".twelvefold/applied/{path}"] = {"strategy": names["memory"], "config": config}
        else:
            owner = names["owned" if item.owner == OWNED else "seeded"]
            mapping[spelled(path, lambda name: "{{ cookiecutter.package_name }}")] = owner
    moved = RENAMED if version != "v1" else {}
    return {**rules, "migrations": {"paths": moved}, "strategies_mapping": mapping}


EXTENSION = text(
    '''
    from pathlib import Path

    from jinja2.ext import Extension


    class Answers(Extension):
        """Tells the hook where the template lies."""

        def __init__(self, environment):
            super().__init__(environment)
            environment.globals["template_dir"] = str(Path(__file__).resolve().parent)
            environment.filters["left_out"] = lambda answers: []
    '''
)

DIALECTS: Mapping[str, Callable[[Path, str], None]] = {
    "scaraplate": write_scaraplate,
    "cruft": write_cruft,
    "copier": write_copier,
    "ours": write_ours,
}


def make(dialect: str, repository: Path) -> Path:
    """A repository with the template in `dialect`, a tag a version."""
    repository.mkdir(parents=True)
    git(repository, "init", "--quiet", "--initial-branch", "main")
    git(repository, "remote", "add", "origin", "https://github.com/bench/template.git")
    for version in VERSIONS:
        DIALECTS[dialect](repository, version)
        commit(repository, version)
        git(repository, "tag", version)
    return repository


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", folder, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.rstrip("\n")


def commit(folder: Path, message: str) -> None:
    """Commit all that is there; the first time, make it a repository."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all", "--force")
    author = ("-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "commit.gpgsign=false")
    git(folder, *author, "commit", "--quiet", "--allow-empty", "--message", message)
