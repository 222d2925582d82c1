"""Templates with a history, small enough to render hundreds of times, and services that follow them."""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from conftest import commit, git
from environments import TEMPLATE
from rendered import render as render_template
from trees import tree
from twelvefold.cli import main
from twelvefold.engine.rendering.imports import imports_apart

SLUG = "pay-api"
EXTENSION = """
from pathlib import Path

from jinja2.ext import Extension


class Answers(Extension):
    def __init__(self, environment):
        super().__init__(environment)
        environment.globals["template_dir"] = str(Path(__file__).resolve().parent)
        environment.filters["left_out"] = left_out


def left_out(answers):
    if answers.get("_chassis", "vendored") != "vendored":
        return ["vendor"]
    return [f"vendor/chassis-{name}" for name, answer in answers.items() if answer is False]
"""
RULES = """
git_remote_type: twelvefold.git_remote.TemplateRemote
cookiecutter_context_type: twelvefold.memory.Answers
default_strategy: scaraplate.strategies.IfMissing
engine: 0.1.0
application: {}
ownership:
  scaraplate.strategies.Overwrite: owned
  scaraplate.strategies.IfMissing: seeded
  twelvefold.strategies.strategy.Merged: merged
  twelvefold.strategies.strategy.Applied: memory
strategies_mapping:
  .twelvefold/answers.json: scaraplate.strategies.Overwrite
  .twelvefold/manifest.json: scaraplate.strategies.Overwrite
  .twelvefold/template.json: scaraplate.strategies.Overwrite
  Makefile: scaraplate.strategies.Overwrite
  owned/*: scaraplate.strategies.Overwrite
  vendor/*: scaraplate.strategies.Overwrite
  seeds/*: scaraplate.strategies.IfMissing
"""
MERGED: dict[str, dict[str, Any]] = {
    "pyproject.toml": {
        "format": "toml",
        "keys": {
            "project": "team",
            "project.dependencies": {"members": "requirement"},
            "tool.uv.constraint-dependencies": "owned",
            "tool.ruff.lint.select": {"members": "value"},
        },
    },
    "ci.yml": {"format": "yaml", "keys": {"": "members", "stages": {"members": "value"}}},
    ".gitignore": {"format": "ignore"},
    ".env.example": {"format": "env"},
    "config/legacy.json": {"format": "json"},
    "notes.txt": {"format": "text"},
    "docs/notes.txt": {"format": "text"},
}
FILES = {
    "Makefile": "run:\n\techo run\n",
    "owned/core.py": '"""The template\'s."""\n',
    "owned/run.sh": "#!/bin/sh\necho run\n",
    "seeds/api.py": '"""The team\'s."""\n',
    "README.md": "# << cookiecutter.project_slug >>\n",
    ".gitignore": "# Caches\n.cache/\n*.pyc\n\n# Secrets\n.env\n",
    ".env.example": "# The port.\n#PORT=8000\n# The level.\n#LOG_LEVEL=info\n",
    "config/legacy.json": '{\n  "log": {\n    "level": "info",\n    "format": "%(message)s"\n  }\n}\n',
    "notes.txt": "one\ntwo\nthree\nfour\nfive\n",
    "ci.yml": textwrap.dedent(
        """\
        stages: [check, test]

        lint:
          stage: check
          script:
            - make lint

        test:
          stage: test
          script:
            - make test
        """
    ),
    "pyproject.toml": textwrap.dedent(
        """\
        [project]
        name = "<< cookiecutter.project_slug >>"
        version = "0.1.0"
        dependencies = [
          "click",
          "fastapi>=0.100",
          <% if cookiecutter.database %>
          "sqlalchemy",
          <% endif %>
          "uvicorn",
        ]

        [tool.uv]
        constraint-dependencies = ["click==8", "fastapi==0.100"]

        [tool.ruff]
        line-length = 100

        [tool.ruff.lint]
        select = ["E", "F"]
        """
    ),
}
QUESTIONS: dict[str, Any] = {
    "project_name": "Pay API",
    "project_slug": SLUG,
    "package_name": "pay_api",
    "ci": ["gitlab", "github"],
    "database": False,
}


@dataclass
class History:
    """A template's repository, to which versions are added."""

    repository: Path
    files: dict[str, str] = field(default_factory=lambda: dict(FILES))
    questions: dict[str, Any] = field(default_factory=lambda: dict(QUESTIONS))
    migrations: dict[str, Any] = field(default_factory=dict)
    executable: set[str] = field(default_factory=lambda: {"owned/run.sh"})
    merged: dict[str, dict[str, Any]] = field(default_factory=lambda: dict(MERGED))
    binaries: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    rules: dict[str, Any] = field(default_factory=dict)  # on top of scaraplate.yaml's others

    def release(self, version: str, changes: Mapping[str, str | None] | None = None) -> None:
        """Change files (None deletes one), commit, and tag the version."""
        for path, text in (changes or {}).items():
            if text is None:
                self.files.pop(path)
            else:
                self.files[path] = text
        self.write(version)
        commit(self.repository, f"Release {version}")
        git(self.repository, "tag", version)

    def write(self, version: str) -> None:
        import yaml

        project = self.repository / "<<cookiecutter.project_slug>>"
        if project.exists():
            shutil.rmtree(project)
        for path, text in self.files.items():
            (project / path).parent.mkdir(parents=True, exist_ok=True)
            (project / path).write_bytes(text.encode())
            (project / path).chmod(0o755 if path in self.executable else 0o644)
        for path, content in self.binaries.items():
            (project / path).write_bytes(content)
        for path, target in self.links.items():
            (project / path).symlink_to(target)
        real = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
        kept = {name: real[name] for name in ("_copy_without_render", "_jinja2_env_vars", "_extensions")}
        about = {"_template_url": str(self.repository), "_template_version": version}
        (self.repository / "cookiecutter.json").write_text(
            json.dumps({"_chassis": "vendored", **self.questions, **about, **kept})
        )
        (self.repository / "twelvefold_answers.py").write_text(EXTENSION)
        (self.repository / "hooks").mkdir(exist_ok=True)
        shutil.copy(TEMPLATE / "hooks/post_gen_project.py", self.repository / "hooks")
        rules = yaml.safe_load(RULES)
        for path, config in self.merged.items():
            node = {"path": path, **config}
            mapping = rules["strategies_mapping"]
            mapping[path] = {"strategy": "twelvefold.strategies.strategy.Merged", "config": node}
            copy = {"strategy": "twelvefold.strategies.strategy.Applied", "config": node}
            mapping[f".twelvefold/applied/{path}"] = copy
        rules["migrations"] = self.migrations
        rules |= self.rules
        (self.repository / "scaraplate.yaml").write_text(yaml.safe_dump(rules))


def render(history: History, version: str, folder: Path, **answers: str | bool) -> Path:
    """A service, committed, as cookiecutter renders it at `version`."""
    checkout = folder / f"template-{version}"
    if not checkout.exists():
        git(folder, "clone", "--quiet", str(history.repository), str(checkout))
        git(checkout, "checkout", "--quiet", version)
    service = render_template(folder / "services", checkout, **answers)
    commit(service, "Rendered")
    return service


def twelvefold(*arguments: str | Path) -> Result:
    """Run the command in this process."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments], catch_exceptions=False)


def plain(history: History, service: Path) -> Result:
    """Run `scaraplate rollup` of what is checked out in the template's repository, in this process."""
    from scaraplate.__main__ import main as scaraplate

    if not git(history.repository, "remote"):
        git(history.repository, "remote", "add", "origin", "https://git.example.com/org/template.git")
    options = ["rollup", str(history.repository), str(service), "--no-input"]
    with imports_apart(history.repository):
        return CliRunner().invoke(scaraplate, options, catch_exceptions=False)


def rolled_up(history: History, service: Path, ref: str, *arguments: str, exit_code: int = 0) -> str:
    """Commit what is in the service, roll it up to `ref`, and return what was said."""
    if git(service, "status", "--porcelain"):
        commit(service, "The team's")
    options = ("--template", str(history.repository), "--ref", ref, "--no-lock", *arguments)
    done = twelvefold("rollup", service, *options)
    assert done.exit_code == exit_code, done.output
    return done.output


def write(service: Path, path: str, text: str) -> None:
    """Write a file as the team does."""
    (service / path).parent.mkdir(parents=True, exist_ok=True)
    (service / path).write_text(text, encoding="utf-8", newline="")


def edit(service: Path, path: str, old: str, new: str) -> None:
    """Replace a text in a file as the team does."""
    text = (service / path).read_bytes().decode()
    assert old in text, text
    write(service, path, text.replace(old, new))


def answers_of(service: Path) -> dict[str, Any]:
    """The answers that the memory has."""
    answers: dict[str, Any] = json.loads((service / ".twelvefold/answers.json").read_text(encoding="utf-8"))
    return answers


def team_s(service: Path) -> dict[str, tuple[int, bytes]]:
    """The service's files without the rollup's memory."""
    return {path: file for path, file in tree(service).items() if not path.startswith(".twelvefold/")}
