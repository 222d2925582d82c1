"""A whole render: questions, hooks and files, in the order of cookiecutter's."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from jinja2 import UndefinedError

from twelvefold.engine.rendering import hook
from twelvefold.engine.rendering.checkouts import Checkout
from twelvefold.engine.rendering.context import context, read_questions
from twelvefold.engine.rendering.environment import Environment, Loader
from twelvefold.engine.rendering.hook import Hooks
from twelvefold.engine.rendering.imports import imports_apart
from twelvefold.engine.rendering.refusals import unusable
from twelvefold.engine.rendering.tree import Tree, refuse_outside, undefined
from twelvefold.service import Answer


def render_project(checkout: Checkout, answers: Mapping[str, Answer], scratch: Path) -> Path:
    """Render the template with `answers`, the others by default; return the project's folder, below `scratch`.

    Raises RefusedError if the template cannot be rendered, and whatever its hooks and extensions raise.
    """
    checkout = prompted(checkout, scratch)
    with imports_apart(checkout.folder, checkout.modules):
        return _rendered(checkout, answers, scratch)


def prompted(checkout: Checkout, scratch: Path) -> Checkout:
    """The template after its hooks for the time before questions, which may change a copy of it."""
    if not hook.found(checkout.folder, hook.BEFORE_QUESTIONS):
        return checkout
    copy = Checkout(checkout.template, scratch / "prompted" / checkout.folder.name)
    shutil.copytree(checkout.folder, copy.folder)
    for script in hook.found(copy.folder, hook.BEFORE_QUESTIONS):
        hook.execute(script, copy.folder)
    return copy


def _rendered(checkout: Checkout, answers: Mapping[str, Answer], scratch: Path) -> Path:
    output, scripts = scratch / "out", scratch / "hooks"
    for folder in (output, scripts):
        folder.mkdir()
    questions = read_questions(checkout.folder)
    environment = Environment(questions, checkout.compiled)
    # For a post_gen hook: to read the whole template for it would be most of what the hook does.
    environment.globals["template_content"] = checkout.template.content()
    seen = context(questions, answers, environment, (checkout.folder, output))
    source = template_folder(checkout.folder, environment)
    project = _project(source.name, output, environment, seen)
    hooks = Hooks(checkout.folder, scripts, environment, seen)
    hooks.run(hook.BEFORE_FILES, project)
    environment.loader = Loader([source, checkout.folder / "templates"])
    Tree(source, project, environment, seen, checkout.sources).render()
    hooks.run(hook.AFTER_FILES, project)
    return project


def template_folder(template: Path, environment: Environment) -> Path:
    """The folder that is rendered: the one whose name is an answer."""
    tags = ("cookiecutter", environment.variable_start_string, environment.variable_end_string)
    found = [folder for folder in sorted(template.iterdir()) if all(tag in folder.name for tag in tags)]
    if not found:
        start, end = environment.variable_start_string, environment.variable_end_string
        raise unusable(f"no folder is named after a question, such as {start}cookiecutter.project_slug{end}")
    return found[0]


def _project(name: str, output: Path, environment: Environment, seen: Mapping[str, object]) -> Path:
    try:
        rendered = environment.rendered(name, seen)
    except UndefinedError as error:
        raise undefined(f"Unable to create project directory '{name}'", error) from error
    refuse_outside(name, rendered)
    if (output / rendered).exists():
        raise unusable(f"{name} is rendered to {rendered!r}, which names no folder")
    (output / rendered).mkdir(parents=True)
    return output / rendered
