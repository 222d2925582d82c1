"""Strategies of somebody else's, applied by scaraplate's own function."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from twelvefold import latch
from twelvefold.engine.rendering.apply import Onto, others
from twelvefold.engine.rendering.checkouts import Checkout
from twelvefold.engine.rendering.imports import imports_apart
from twelvefold.service import ANSWERS, APPLIED, Answer

if TYPE_CHECKING:
    from scaraplate.template import TemplateMeta


def apply_classes(checkout: Checkout, project: Path, answers: Mapping[str, Answer], onto: Onto, target: Path) -> None:
    """Write into the folder `target` what becomes of `onto` by the strategies that scaraplate.yaml names.

    Raises whatever scaraplate and the strategies do.
    """
    from scaraplate.config import get_scaraplate_yaml_options, get_scaraplate_yaml_strategies
    from scaraplate.rollup import apply_generated_project

    onto = with_others(onto, others(project, checkout.template.rules(), answers))
    write_service(target, answers, onto)
    run = latch.Run(target.resolve(), left_out=onto.left_out)
    with latch.running(run), imports_apart(checkout.folder, checkout.modules):
        options = get_scaraplate_yaml_options(checkout.folder)
        apply_generated_project(
            project,
            target,
            template_meta=template_meta(checkout, options.git_remote_type),
            scaraplate_yaml_strategies=get_scaraplate_yaml_strategies(checkout.folder, cast(Any, answers)),
        )


def with_others(onto: Onto, paths: Sequence[str]) -> Onto:
    """`onto` with the service's files at `paths` and their last-applied copies."""
    copies = [str(APPLIED / path) for path in paths]
    found = {path: file.content for path in (*paths, *copies) if (file := onto.read(path))}
    return replace(onto, files={**found, **onto.files})


def write_service(target: Path, answers: Mapping[str, Answer], onto: Onto) -> None:
    """Write into `target` what the strategies find of the service."""
    stored = json.dumps(dict(answers), ensure_ascii=False).encode()
    for path, content in {**onto.by_path(), str(ANSWERS): stored}.items():
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        (target / path).write_bytes(content)


def template_meta(checkout: Checkout, git_remote_type: Any) -> TemplateMeta:
    """What scaraplate would ask git of a clone of the template."""
    from scaraplate.gitremotes import make_git_remote
    from scaraplate.template import TemplateMeta

    commit = checkout.template.commit
    remote = make_git_remote(checkout.template.url, git_remote_type=git_remote_type)
    return TemplateMeta(remote.project_url(), commit, remote.commit_url(commit), is_git_dirty=False, head_ref=None)
