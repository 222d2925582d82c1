"""Render the template for a service in a scratch folder, and merge there what the service shares with it."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import click

from twelvefold.decisions import Decision, collected
from twelvefold.engine.answers import named_after
from twelvefold.engine.application import Application
from twelvefold.engine.bases import left_alone
from twelvefold.engine.plan import Render
from twelvefold.engine.rendering.apply import Onto, apply, are_applied_here, files_below
from twelvefold.engine.rendering.checkouts import Checkout, keeping_checkouts, scratch
from twelvefold.engine.rendering.project import render_project
from twelvefold.engine.rendering.refusals import unusable
from twelvefold.engine.template import Template
from twelvefold.errors import FailedError
from twelvefold.service import ANSWERS, APPLIED, Answer, File, Service, hold_back, load, opened


def render(
    template: Template,
    service: Service,
    answers: Mapping[str, Answer],
    shared: Mapping[str, str],
    application: Application | None = None,
) -> Render:
    """Roll the template up onto a copy of what `service` shares with it, with `answers`.

    `shared` maps the path of each merged file to the one that the service has it at; `application` is what the service
    is spared, None if nothing. Raises RefusedError with what is wrong with the template.
    """
    spared = application or Application()
    shared = {new: old for new, old in shared.items() if not spared.has(new, answers)}
    applied = service.applied()
    damaged = service.damaged(applied)
    left = {new: old for new, old in shared.items() if old in damaged}
    onto = _onto(service, applied, {new: old for new, old in shared.items() if new not in left}, spared)
    with keeping_checkouts() as checkouts, scratch() as folder, collected() as decisions:
        with saying_what_is_wrong(), redirect_stdout(io.StringIO()):
            root = _project(checkouts.of(template), _named(answers, service), onto, folder)
        left_out = spared.leave_out(root) if application else []
        alone = _leave(root, service, left)
        files = {path: opened(f"{root}/{path}") for path in files_below(root)}
        return Render(files, Service.open(root), [*decisions, *alone], left_out)


def _named(answers: Mapping[str, Answer], service: Service) -> dict[str, Answer]:
    """The answers, and those that scaraplate gives where nobody did."""
    slug = str(answers.get("project_slug") or service.root.name)
    return {"project_dest": slug, **named_after(slug), **answers}


def _onto(service: Service, applied: Mapping[str, bytes], shared: Mapping[str, str], spared: Application) -> Onto:
    files = {new: file.content for new, old in shared.items() if (file := service.file(old))}
    copies = {new: applied[old] for new, old in shared.items() if old in applied}
    return Onto(files, copies, spared.keys, service.file)


def _leave(root: Path, service: Service, left: Mapping[str, str]) -> list[Decision]:
    """Put the service's files and their last-applied copies in place of rendered ones; `left` maps new paths to old."""
    rendered = {new: old for new, old in left.items() if (root / new).is_file()}
    hold_back(root, {new: service.manifest[old].sha256 for new, old in rendered.items()})
    for folder in (Path(), APPLIED):
        for new, old in rendered.items():
            _replace(root / folder / new, service.file(str(folder / old)))
    return [left_alone(service, path) for path in rendered.values()]


def _replace(path: Path, file: File | None) -> None:
    path.unlink(missing_ok=True)
    if file:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
        path.chmod(file.mode)


@contextmanager
def saying_what_is_wrong() -> Iterator[None]:
    """Raise RefusedError for whatever a template's own code raises inside, FailedError where the disk does not work."""
    try:
        yield
    except click.ClickException:
        raise
    except OSError as error:
        if isinstance(error, FileNotFoundError):  # a dangling link, a file that a hook misses
            raise unusable(str(error)) from error
        raise FailedError(f"The template could not be rendered: {error}.") from error
    except Exception as error:  # hooks and extensions are the template's code: whatever they raise says what is wrong
        raise unusable(f"{type(error).__name__}: {error}") from error


def _project(checkout: Checkout, answers: Mapping[str, Answer], onto: Onto, folder: Path) -> Path:
    """Render the template below `folder`, merged with `onto`; return the project's folder."""
    project = render_project(checkout, answers, folder)
    rules = checkout.template.rules()
    answers = load(project, ANSWERS)  # with those that were not given
    if are_applied_here(rules):
        apply(project, rules, answers, onto)
        return project
    from twelvefold.engine.rendering.classes import apply_classes

    target = folder / "target" / project.name
    apply_classes(checkout, project, answers, onto, target)
    return target
