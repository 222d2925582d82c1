"""The first rollup onto a repository that the template did not make."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twelvefold import pyproject
from twelvefold.engine import template as templates
from twelvefold.engine.answers import parsed
from twelvefold.engine.application import Application, found_in, refuse_undeclared
from twelvefold.engine.layout import note_flat_layout, refuse_flat_layout
from twelvefold.engine.ownership import Migrations, merged_files
from twelvefold.engine.plan import plan, refuse_broken, refuse_what_git_lacks
from twelvefold.engine.requirements import refuse_elsewhere
from twelvefold.engine.rollup import Rollup, Wanted, refuse_other_paths, uncommitted
from twelvefold.engine.template import Template
from twelvefold.errors import RefusedError
from twelvefold.git import GitError, git
from twelvefold.repository_url import on_forge
from twelvefold.service import MEMORY, Answer, Repository, Service

SCARAPLATE = ".scaraplate.conf"  # where scaraplate keeps the answers by default


def begin(wanted: Wanted) -> tuple[Template, dict[str, Answer]]:
    """Find the template, and what the repository's own files answer of its questions.

    Raises RefusedError if it is a service already, or no template was named.
    """
    root = wanted.service.resolve()
    if not root.is_dir():
        raise RefusedError(f"{wanted.service} is no folder.")
    if (root / MEMORY).exists():
        raise RefusedError(f"{wanted.service} was made by a template already. To update it: twelvefold rollup")
    Repository.around(root)
    refuse_elsewhere(root)
    if wanted.template is None:
        raise RefusedError("Name the template: twelvefold adopt --template URL")
    template = templates.find(wanted.template, wanted.ref)
    questions = template.questions()
    fitting = {question: answer for question, answer in guesses(root).items() if _fits(answer, questions.get(question))}
    return template, {**fitting, **parsed({**_of_scaraplate(root, questions), **wanted.answers}, questions)}


def prepare(wanted: Wanted, template: Template, answers: dict[str, Answer]) -> Rollup:
    """Find out what the first rollup would do; writes nothing into the repository."""
    service = Service(wanted.service.resolve())
    repository = Repository.around(service.root)
    rules = template.rules()
    from twelvefold.engine.render import render

    refuse_other_paths(answers, template.questions_in_paths())
    shown = found_in(service.root)
    if shown:
        refuse_undeclared(rules)
    spared = Application.load(rules) if shown else None
    rendered = render(template, service, answers, {path: path for path in merged_files(rules)}, spared)
    refuse_flat_layout(service.root, rendered.service.manifest)
    planned = plan(service, rendered, {}, Migrations.load(rules).emptied(rendered.service.answers))
    planned.notes += left_out(shown, rendered.left_out)
    if (service.root / SCARAPLATE).exists():
        planned.notes.append(
            f"The answers are those of {SCARAPLATE}, which nothing reads any more: git rm {SCARAPLATE}"
        )
    planned.notes += note_flat_layout(service.root, rendered.service.manifest)
    planned.notes += misplaced(service.root, rendered.service.answers)
    planned.notes += uncommitted(template)
    refuse_broken(planned.changes)
    refuse_what_git_lacks(planned, repository)
    version = rendered.service.stamp.get("version", template.ref)
    return Rollup(Service(service.root, rendered.service.answers), repository, template, version, planned)


def left_out(shown: Sequence[str], what: Sequence[str]) -> list[str]:
    """A note of what is left out, because the files `shown` say that there is an application already."""
    if not what:
        return []
    more = f" and {len(shown) - 1} more" if len(shown) > 1 else ""
    return [
        f"This repository has an application of its own ({shown[0]}{more}). What the template has for a new one is "
        f"left out, now and in later updates: {', '.join(what)}"
    ]


def misplaced(root: Path, answers: Mapping[str, Answer]) -> list[str]:
    """A note if the package lies where nothing of the template's looks for it."""
    package = str(answers.get("package_name", ""))
    if not package or not (root / package / "__init__.py").is_file():
        return []
    move = f"mkdir -p src && git mv {package} src/"
    return [f"{package}/ is yours, and the template's tools look in src/. Best before you adopt: {move}"]


def guesses(root: Path) -> dict[str, Answer]:
    """What pyproject.toml, the folders and git say about a service, as answers."""
    project = pyproject.table(pyproject.read(root), "project")
    name = str(project.get("name") or root.name)
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    found: dict[str, Answer] = {"project_slug": slug, "project_name": slug.replace("-", " ").title()}
    if package := _package(root, slug):
        found["package_name"] = package
    if description := project.get("description"):
        found["description"] = str(description)
    return {**found, **_of_remote(root), **_ci(root)}


def _fits(answer: Answer, default: Any) -> bool:
    return answer in default if isinstance(default, list) else isinstance(answer, type(default))


def _of_scaraplate(root: Path, questions: Mapping[str, Any]) -> dict[str, str]:
    """The answers that plain scaraplate keeps. Raises RefusedError if they cannot be read."""
    stored = configparser.ConfigParser(interpolation=None)
    try:
        stored.read(root / SCARAPLATE, encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise RefusedError(
            f"{SCARAPLATE} cannot be read: {' '.join(str(error).split())}. Fix it or move it away."
        ) from error
    section = dict(stored["cookiecutter_context"]) if "cookiecutter_context" in stored else {}
    asked = {question for question in questions if not question.startswith("_")}
    return {question: answer for question, answer in section.items() if question in asked}


def _package(root: Path, slug: str) -> str | None:
    packages = sorted(path.parent.name for path in root.glob("src/*/__init__.py") if path.parent.name != "chassis")
    wanted = slug.replace("-", "_")
    return wanted if wanted in packages else next(iter(packages), None)


def _of_remote(root: Path) -> dict[str, Answer]:
    try:
        forge, path = on_forge(git(root, "remote", "get-url", "origin")) or ("", "")
    except GitError:
        return {}
    if "/" not in path:
        return {}
    answers: dict[str, Answer] = {"owner": path.rpartition("/")[0], "repository_url": f"{forge}/{path}"}
    ci = next((name for name in ("gitlab", "github") if name in forge), None)
    return {**answers, "ci": ci} if ci else answers


def _ci(root: Path) -> dict[str, Answer]:
    if (root / ".gitlab-ci.yml").exists():
        return {"ci": "gitlab"}
    return {"ci": "github"} if (root / ".github/workflows").is_dir() else {}
