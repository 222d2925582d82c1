"""What templates see as `cookiecutter`: each question with its answer, as cookiecutter computes it without asking."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import UndefinedError

from twelvefold.engine.answers import NO, YES
from twelvefold.engine.rendering.environment import Environment
from twelvefold.engine.rendering.refusals import unusable
from twelvefold.service import Answer

Questions = OrderedDict[str, Any]


def read_questions(template: Path) -> Questions:
    """Read cookiecutter.json. Raises RefusedError if it is none, or offers a choice of templates."""
    try:
        text = (template / "cookiecutter.json").read_text(encoding="utf-8")
        questions: Questions = json.loads(text, object_pairs_hook=Questions)
    except ValueError as error:
        raise unusable(f"cookiecutter.json is not JSON ({error})") from error
    if {"template", "templates"} & set(questions):
        raise unusable("cookiecutter.json offers several templates. Name the repository of one: --template URL")
    return questions


def asked(questions: Questions, answers: Mapping[str, Answer]) -> Questions:
    """cookiecutter.json with the answers in place of defaults, and the chosen one the first of its choices.

    Answers to what is not asked are left out. Raises RefusedError for an answer that its question does not take.
    """
    return Questions(
        (name, _taken(name, default, answers) if name in answers and not name.startswith("_") else default)
        for name, default in questions.items()
        if name != "__prompts__"
    )


def _taken(question: str, default: Any, answers: Mapping[str, Answer]) -> Any:
    answer = answers[question]
    if isinstance(default, list):
        if answer not in default:
            raise unusable(f"{answer} provided for choice variable {question}, but the choices are {default}.")
        return [answer, *(choice for choice in default if choice != answer)]
    if isinstance(default, bool) and isinstance(answer, str):
        return _as_bool(question, answer)
    return answer


def _as_bool(question: str, answer: str) -> bool:
    said = answer.strip().lower()
    if said not in YES | NO | {"t", "f"}:
        raise unusable(f"{answer} provided for variable {question} could not be converted to a boolean.")
    return said in YES | {"t"}


def answered(questions: Questions, answers: Mapping[str, Answer], environment: Environment) -> Questions:
    """Each of `questions`, as `asked` returns them, with its value: what was answered, or else the default, rendered.

    An answer is not rendered. Raises RefusedError where a default names what is not asked before.
    """
    values = Questions()
    first, second = _first(questions), _second(questions)
    for name, raw in (*first.items(), *second.items()):
        is_given = name in answers and not isinstance(raw, (list, dict))
        try:
            value = raw if is_given or _is_private(name) else _rendered(raw, values, environment)
        except UndefinedError as error:
            raise unusable(f"Unable to render variable '{name}'. Error message: {error.message}.") from error
        values[name] = _chosen(value) if isinstance(value, list) and not name.startswith("_") else value
    return values


def _is_private(name: str) -> bool:
    """Whether it is cookiecutter's or the template's own, and is handed on as it stands; `__name` is rendered."""
    return name.startswith("_") and not name.startswith("__")


def _first(questions: Questions) -> Questions:
    """What is rendered first: all but objects, whose keys and values may name the rest."""
    return Questions(
        (name, raw) for name, raw in questions.items() if not isinstance(raw, dict) or name.startswith("_")
    )


def _second(questions: Questions) -> Questions:
    """The objects, those of `__name` once more: the others are known now."""
    return Questions((name, raw) for name, raw in questions.items() if isinstance(raw, dict) and not _is_private(name))


def _chosen(choices: list[Any]) -> Any:
    if not choices:
        raise unusable("The list of choices is empty")
    return choices[0]


def _rendered(raw: Any, values: Questions, environment: Environment) -> Any:
    if raw is None or isinstance(raw, bool):
        return raw
    if isinstance(raw, dict):
        return {_rendered(key, values, environment): _rendered(one, values, environment) for key, one in raw.items()}
    if isinstance(raw, list):
        return [_rendered(one, values, environment) for one in raw]
    return environment.rendered(str(raw), {"cookiecutter": values})


def context(
    questions: Questions, answers: Mapping[str, Answer], environment: Environment, folders: tuple[Path, Path]
) -> Questions:
    """All that templates see: `cookiecutter`, and as `_cookiecutter` the questions as they are asked.

    `folders` are the template's and the one that is rendered into. The template is called by its folder's name, as
    scaraplate calls it: what is rendered must not depend on where the template was put.
    """
    template, output = folders
    raw = asked(questions, answers)
    shown = {name: value for name, value in raw.items() if not name.startswith("_")}
    values = Questions((name, None) for name in raw)
    values.update(answered(raw, answers, environment))
    about = {"_template": template.name, "_output_dir": str(output), "_repo_dir": template.name, "_checkout": None}
    return Questions(cookiecutter=Questions({**values, **about}), _cookiecutter=shown)
