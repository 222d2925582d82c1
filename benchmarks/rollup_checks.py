"""What teams do to a service, and what must be so after a rollup: each check a small named predicate."""

from __future__ import annotations

import configparser
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml
from rollup_template import CHASSIS, files, filled, picture

OWN_PICTURE = picture(200)
MARKERS = (b"<<<<<<<", b">>>>>>>", b"|||||||")


@dataclass(frozen=True, slots=True)
class Result:
    """A service after a rollup, what the tool said and its exit code."""

    service: Path
    said: str = ""
    exit_code: int = 0

    def content(self, path: str) -> bytes:
        """The file's bytes, none if it is not there."""
        file = self.service / filled(path)
        return file.read_bytes() if file.is_file() else b""

    def text(self, path: str) -> str:
        """The file's text with LF, none if it is not there."""
        return self.content(path).decode(errors="replace").replace("\r\n", "\n")

    def all(self) -> dict[str, bytes]:
        """Every file of the service, without git's own and the tools' memories."""
        return {
            path.relative_to(self.service).as_posix(): path.read_bytes()
            for path in sorted(self.service.rglob("*"))
            if path.is_file() and not {".git", ".twelvefold"} & set(path.relative_to(self.service).parts)
        }


Check = Callable[[Result], bool]


# --- the edits --------------------------------------------------------------------------------------------------


def put(service: Path, path: str, content: str | bytes) -> None:
    target = service / filled(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content.encode() if isinstance(content, str) else content)


def edit(service: Path, path: str, old: str, new: str) -> None:
    """Replace `old`. Raises ValueError if it is not there, because then the benchmark measures something else."""
    text = (service / filled(path)).read_bytes().decode()
    if old not in text:
        raise ValueError(f"{path} holds no {old!r}:\n{text}")
    put(service, path, text.replace(old, new, 1))


def basic_edits(service: Path) -> None:
    """A dependency, a README line, a CI job, a source line, a deleted template file."""
    edit(service, "pyproject.toml", '  "pydantic>=2",\n', '  "numpy>=2",\n  "pydantic>=2",\n')
    edit(service, "README.md", "    make release\n", "    make release\n\nOur rota is in the wiki.\n")
    edit(
        service,
        ".gitlab-ci.yml",
        "test:\n  stage",
        "ours:\n  stage: test\n  script:\n    - make ours\n\ntest:\n  stage",
    )
    edit(service, "src/@package@/api.py", 'LEVEL = "info"', 'LEVEL = "ours"')
    (service / filled("src/@package@/example.py")).unlink()
    (service / "tests/test_example.py").unlink()


def hard_edits(service: Path) -> None:
    """Edits in what the template renames, removes, adds and changes as well."""
    edit(service, "docs/operations.md", "From the last backup.\n", "From the last backup.\nCall us on 112.\n")
    edit(service, "docs/legacy.md", "With a cron job.\n", "With a cron job.\nOurs still does.\n")
    put(service, "docs/faq.md", "# Our questions\n\nWhy us?\n")
    put(service, "assets/badge.png", OWN_PICTURE)
    edit(service, "tox.ini", "[testenv]\n", "[testenv:ours]\ncommands = make ours\n\n[testenv]\n")
    put(service, "tox.ini", (service / "tox.ini").read_bytes().replace(b"\n", b"\r\n"))
    edit(
        service,
        ".pre-commit-config.yaml",
        "repos:\n",
        "repos:\n  # Ours.\n  - repo: local\n    hooks:\n      - id: ours\n        name: ours\n"
        "        entry: make ours\n        language: system\n",
    )
    edit(service, "setup.cfg", "[mypy]\n", "[mypy]\n# Ours: half of it, 50%.\nplugins = ours\n")
    edit(service, "compose.yaml", "services:\n", "services:\n  redis:\n    image: redis:7\n\n")
    edit(service, ".gitignore", "*.log\n", "*.log\n!keep.log\n")
    edit(
        service,
        f"{CHASSIS}/logging.py",
        "def is_quiet()",
        "def is_ours() -> bool:\n    return True\n\n\ndef is_quiet()",
    )
    put(service, "scripts/ours.sh", "#!/bin/sh\nmake ours\n")
    (service / "scripts/ours.sh").chmod(0o755)
    edit(service, "mkdocs.yml", filled("site_name: @slug@"), "site_name: Payments")


# --- the predicates ---------------------------------------------------------------------------------------------


def holds(path: str, wanted: str, result: Result) -> bool:
    return wanted in result.text(path)


def lacks(path: str, unwanted: str, result: Result) -> bool:
    return bool(result.content(path)) and unwanted not in result.text(path)


def is_gone(path: str, result: Result) -> bool:
    return not (result.service / filled(path)).exists()


def is_template_s(path: str, result: Result) -> bool:
    content = files("v3")[path].content
    return result.content(path) == (filled(content).encode() if isinstance(content, str) else content)


def is_executable(path: str, result: Result) -> bool:
    file = result.service / path
    return file.is_file() and bool(file.stat().st_mode & 0o100)


def parses_toml(path: str, result: Result) -> bool:
    try:
        return bool(tomllib.loads(result.text(path)))
    except tomllib.TOMLDecodeError:
        return False


def parses_yaml(path: str, result: Result) -> bool:
    try:
        return isinstance(yaml.safe_load(result.text(path)), dict)
    except yaml.YAMLError:
        return False


def parses_ini(path: str, result: Result) -> bool:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(result.text(path))
    except configparser.Error:
        return False
    return bool(parser.sections())


def has_no_markers(result: Result) -> bool:
    return not any(marker in content for content in result.all().values() for marker in MARKERS)


def has_no_rejects(result: Result) -> bool:
    return not any(path.endswith((".rej", ".orig")) for path in result.all())


def is_somewhere(wanted: str, result: Result) -> bool:
    return any(wanted.encode() in content for content in result.all().values())


def has_only_crlf(path: str, result: Result) -> bool:
    content = result.content(path)
    return bool(content) and content.count(b"\n") == content.count(b"\r\n")


def is_not_ignored(path: str, result: Result) -> bool:
    command = ["git", "-C", str(result.service), "check-ignore", "--quiet", "--no-index", path]
    return subprocess.run(command, check=False, capture_output=True).returncode == 1


def is_said(path: str, result: Result) -> bool:
    """A clash that nobody can settle is named, or the exit code asks for somebody."""
    return path in result.said or result.exit_code != 0


def is_same(path: str, content: bytes, result: Result) -> bool:
    return result.content(path) == content


BASIC: Mapping[str, Check] = {
    "the team's dependency": partial(holds, "pyproject.toml", '"numpy>=2"'),
    "the template's dependency": partial(holds, "pyproject.toml", '"httpx>=0.27"'),
    "the other dependencies": partial(holds, "pyproject.toml", '"uvicorn>=0.30"'),
    "pyproject.toml parses": partial(parses_toml, "pyproject.toml"),
    "the template's lint setting": partial(holds, "pyproject.toml", "line-length = 120"),
    "the team's README line": partial(holds, "README.md", "Our rota is in the wiki."),
    "the template's README line": partial(holds, "README.md", "make test lint"),
    "the team's CI job": partial(holds, ".gitlab-ci.yml", "- make ours"),
    "the template's CI job": partial(holds, ".gitlab-ci.yml", "- make lint types"),
    ".gitlab-ci.yml parses": partial(parses_yaml, ".gitlab-ci.yml"),
    "the team's source line": partial(holds, "src/@package@/api.py", 'LEVEL = "ours"'),
    "a deleted seed stays deleted": partial(is_gone, "src/@package@/example.py"),
    "no conflict markers": has_no_markers,
    "no rejected hunks": has_no_rejects,
    "the new module": partial(is_template_s, f"{CHASSIS}/tracing.py"),
    "the retired module is gone": partial(is_gone, f"{CHASSIS}/legacy.py"),
    "the renamed module": partial(is_template_s, f"{CHASSIS}/telemetry.py"),
    "its old name is gone": partial(is_gone, f"{CHASSIS}/metrics.py"),
    "the changed module": partial(is_template_s, f"{CHASSIS}/logging.py"),
    "the new script is executable": partial(is_executable, "scripts/check.sh"),
    "the template's picture": partial(is_template_s, "assets/logo.png"),
}

HARD: Mapping[str, Check] = {
    "the renamed page": partial(holds, "docs/runbook.md", "# Operations"),
    "the team's edit moved along": partial(holds, "docs/runbook.md", "Call us on 112."),
    "the template's edit in it": partial(holds, "docs/runbook.md", "Ask the platform team first."),
    "its old name is gone": partial(is_gone, "docs/operations.md"),
    "an edited retired page": partial(holds, "docs/legacy.md", "Ours still does."),
    "the team's page of a new page's name": partial(is_somewhere, "Why us?"),
    "no conflict markers": has_no_markers,
    "no rejected hunks": has_no_rejects,
    "the team's picture": partial(is_same, "assets/badge.png", OWN_PICTURE),
    "the template's picture": partial(is_template_s, "assets/logo.png"),
    "tox.ini parses": partial(parses_ini, "tox.ini"),
    "tox.ini keeps CRLF": partial(has_only_crlf, "tox.ini"),
    "the team's tox environment": partial(holds, "tox.ini", "make ours"),
    "the template's tox environment": partial(holds, "tox.ini", "py313"),
    "the team's hook": partial(holds, ".pre-commit-config.yaml", "id: ours"),
    "the template's newer hooks": partial(holds, ".pre-commit-config.yaml", "v5.0.0"),
    "the template's new hook": partial(holds, ".pre-commit-config.yaml", "check-toml"),
    ".pre-commit-config.yaml parses": partial(parses_yaml, ".pre-commit-config.yaml"),
    "setup.cfg parses": partial(parses_ini, "setup.cfg"),
    "the team's comment": partial(holds, "setup.cfg", "# Ours: half of it, 50%."),
    "the template's mypy option": partial(holds, "setup.cfg", "warn_unreachable"),
    "the team's backing service": partial(holds, "compose.yaml", "redis:7"),
    "the template's PostgreSQL": partial(holds, "compose.yaml", "postgres:17"),
    "compose.yaml parses": partial(parses_yaml, "compose.yaml"),
    "the team's negated pattern": partial(is_not_ignored, "keep.log"),
    "the template's ignored folder": partial(holds, ".gitignore", "dist/"),
    "the team's edit in a module": partial(is_somewhere, "def is_ours()"),
    "the template's edit in that module": partial(holds, f"{CHASSIS}/logging.py", 'LEVEL = "debug"'),
    "a script became executable": partial(is_executable, "scripts/lint.sh"),
    "the team's script stays executable": partial(is_executable, "scripts/ours.sh"),
    "a clash is told": partial(is_said, "mkdocs.yml"),
}


def failed(checks: Mapping[str, Check], result: Result) -> list[str]:
    """The names of the checks that do not hold."""
    return [name for name, check in checks.items() if not check(result)]
