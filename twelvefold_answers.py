"""What a good answer is: the one place that says so.

cookiecutter loads this module as a Jinja extension (``_extensions`` in cookiecutter.json) and renders
``__checked``, its last question, through ``refuse_bad_answers`` before it creates a single directory. A hook
could only refuse after the directory was made, and cookiecutter prints a traceback for every hook that fails.
``--replay`` asks no questions, so hooks/pre_gen_project.py calls ``problems`` once more.
"""

from __future__ import annotations

import json
import keyword
import re
import sys
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path

import click
from jinja2 import Environment
from jinja2.ext import Extension

TEMPLATE = Path(__file__).resolve().parent
SERVICE = TEMPLATE / "<<cookiecutter.project_slug>>"

# Names that mean something else inside a service: directories it has, and the identifier that
# hooks/post_gen_project.py replaces by the package's name.
RESERVED = {"chassis", "config", "conftest", "deploy", "docs", "src", "tests", "service_package"}
# Import names of dependencies that do not follow from the name of the distribution; a test keeps it complete.
IMPORT_NAMES = {"mypyc", "opentelemetry", "py", "requirements", "vendor_licenses", "yaml"}

JINJA = re.compile(r"<<|<%|<#")
FORBIDDEN_CATEGORIES = {
    "Cc": "a control character",
    "Cs": "half of a character",
    "Zl": "a line break",
    "Zp": "a line break",
}
BIDIRECTIONAL = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}


class BadAnswersError(click.ClickException):
    """All that is wrong with the answers. Printed by click as one message; exit code 2."""

    exit_code = 2

    def __init__(self, found: list[str]) -> None:
        super().__init__("\n  ".join(["These answers cannot be used; nothing was written.", *found]))


class Answers(Extension):
    """Adds to Jinja: the filters ``refuse_bad_answers`` and ``quoted``, and the global ``template_dir``."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters["refuse_bad_answers"] = refuse_bad_answers
        environment.filters["quoted"] = quoted
        environment.globals["template_dir"] = str(TEMPLATE)


def refuse_bad_answers(answers: Mapping[str, object]) -> str:
    """Raise BadAnswersError if `answers` (question → answer) hold anything that must not be rendered."""
    found = problems(answers)
    if found:
        raise BadAnswersError(found)
    return "yes"


def quoted(value: str) -> str:
    """`value` as a double-quoted string that JSON, TOML and YAML read alike."""
    return json.dumps(value, ensure_ascii=False)


def problems(answers: Mapping[str, object]) -> list[str]:
    """Say for each bad answer what is wrong and what to type instead; empty when all are good."""
    found = []
    for question, check in CHECKS.items():
        answer = answers.get(question)
        complaint = _not_one_line(answer) or check(str(answer))
        if complaint:
            found.append(f"{question} = {_shown(answer)}: {complaint}")
    return found


def _shown(answer: object) -> str:
    text = json.dumps(answer)  # ASCII, so that look-alikes and invisible characters show
    return text if len(text) <= 60 else f"{text[:56]}…"


def _not_one_line(answer: object) -> str | None:
    if not isinstance(answer, str):
        return f"a text is expected, not {type(answer).__name__}; type it in quotes."
    if not answer.strip():
        return "it is empty; type at least one letter."
    if answer != answer.strip():
        return f"it begins or ends with a space; type {_shown(answer.strip())}."
    if JINJA.search(answer):
        return "it holds a Jinja tag (<<, <% or <#), which the next update would execute; leave the tag out."
    for character in answer:
        name = _forbidden(character)
        if name:
            return f"it holds {name} (U+{ord(character):04X}); type it on one line, in visible characters."
    return None


def _forbidden(character: str) -> str | None:
    code = ord(character)
    if code in BIDIRECTIONAL:
        return "a character that reverses the direction of writing"
    if code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF or code == 0xFEFF:
        return "a code point that is no character"
    return FORBIDDEN_CATEGORIES.get(unicodedata.category(character))


def _limited(limit: int) -> Callable[[str], str | None]:
    def check(answer: str) -> str | None:
        return f"it has {len(answer)} characters; type {limit} at most." if len(answer) > limit else None

    return check


def _project_slug(answer: str) -> str | None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", answer):
        return f"use a-z, 0-9 and single hyphens, a letter first; type {_suggestion(answer, '-')}."
    if len(answer) > 40:
        return "it is longer than 40 characters, and images and deployments are named after it; type a shorter one."
    return _taken(answer, "-")


def _package_name(answer: str) -> str | None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", answer):
        return f"use a-z, 0-9 and single underscores, a letter first; type {_suggestion(answer, '_')}."
    if len(answer) > 40:
        return "it is longer than 40 characters; type a shorter one."
    return _taken(answer, "_")


def _taken(answer: str, separator: str) -> str | None:
    name = answer.replace("-", "_")
    instead = f"type {answer}{separator}service, for example."
    if keyword.iskeyword(name):
        return f"it is a keyword of Python; {instead}"
    if name in sys.stdlib_module_names:
        return f"the standard library has a module of that name; {instead}"
    if name in RESERVED:
        return f"the name has a meaning of its own in a service; {instead}"
    if name in IMPORT_NAMES or name in dependency_names():
        return f"a dependency of the service has that name; {instead}"
    return None


def _suggestion(answer: str, separator: str) -> str:
    plain = unicodedata.normalize("NFKD", answer).encode("ascii", "ignore").decode().lower()
    words = re.findall(r"[a-z0-9]+", plain)
    name = separator.join(words).lstrip("0123456789" + separator)[:40].rstrip(separator)
    return name or f"my{separator}service"


def dependency_names() -> set[str]:
    """The distributions that the template pins for every service, with underscores, as they would be imported."""
    pins = re.findall(r'^ *"([\w.-]+)==', (SERVICE / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[-.]", "_", pin.lower()) for pin in pins}


def _owner(answer: str) -> str | None:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*", answer, re.ASCII):
        return "type the path of the team's group or organisation, such as payments or acme/payments."
    return _limited(100)(answer)


def _repository_url(answer: str) -> str | None:
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:\d+)?(/[\w.~-]+)+", answer, re.ASCII) or "/.." in answer:
        return "type the address of the repository's page, such as https://gitlab.com/payments/my-service."
    return _limited(200)(answer)


CHECKS: dict[str, Callable[[str], str | None]] = {
    "project_name": _limited(60),
    "project_slug": _project_slug,
    "package_name": _package_name,
    "description": _limited(200),
    "owner": _owner,
    "ci": lambda answer: None if answer in {"gitlab", "github"} else "type gitlab or github.",
    "repository_url": _repository_url,
}
