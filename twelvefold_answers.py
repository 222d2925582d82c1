"""What a good answer is: the one place that says so.

cookiecutter loads this module as a Jinja extension (``_extensions`` in cookiecutter.json) and renders
``__checked``, its last question, through ``refuse_bad_answers`` before it creates a single directory. A hook
could only refuse after the directory was made, and cookiecutter prints a traceback for every hook that fails.
``--replay`` asks no questions, and Python code types no command, so hooks/pre_gen_project.py looks once more.

The questions are those of cookiecutter.json: one that is added there needs nothing here, unless a check of its own.
"""

from __future__ import annotations

import json
import keyword
import re
import sys
import unicodedata
import zlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import click
from jinja2 import Environment
from jinja2.ext import Extension

TEMPLATE = Path(__file__).resolve().parent
SERVICE = TEMPLATE / "<<cookiecutter.project_slug>>"

# Names that mean something else inside a service: directories it has, and the identifier that
# hooks/post_gen_project.py replaces by the package's name.
RESERVED = {"chassis", "config", "data", "conftest", "deploy", "docs", "src", "tests", "service_package", "vendor"}
# Import names of dependencies that do not follow from the name of the distribution; a test keeps it complete.
IMPORT_NAMES = {
    "argon2",
    "attr",
    "cattr",
    "dotenv",
    "google",
    "jwt",
    "mypyc",
    "nats",
    "opentelemetry",
    "py",
    "requirements",
    "rpds",
    "ruamel",
    "slugify",
    "vendor_licenses",
    "yaml",
}

# The standard library's public modules differ between Pythons; an answer is good on all from 3.11 to 3.14, or on none.
# fmt: off
CAME_OR_WENT = {
    "aifc", "annotationlib", "asynchat", "asyncore", "audioop", "cgi", "cgitb", "chunk", "compression", "crypt",
    "distutils", "imghdr", "imp", "lib2to3", "mailcap", "msilib", "nis", "nntplib", "ossaudiodev", "pipes", "smtpd",
    "sndhdr", "spwd", "sunau", "telnetlib", "uu", "xdrlib",
}
# fmt: on
STANDARD_LIBRARY = sys.stdlib_module_names | CAME_OR_WENT

# `_chassis` of cookiecutter.json: in vendor/, or else a requirement on this distribution.
VENDORED = "vendored"
CHASSIS = "twelvefold-chassis"
REQUIREMENT = re.compile(rf"{CHASSIS}(==\d[\w.!+-]*| @ git\+[^\s;\"'#]+#subdirectory=[\w./-]*chassis)")
FOLDER = re.compile("(?<=subdirectory=).+")

JINJA = re.compile(r"<<|<%|<#")
# A text in quotes is itself when it is rendered: so a rollup hands over what a service answered once.
LITERAL = re.compile(r'<< "(?:[^"\\]|\\.)*" >>')
A_TAG = "it holds a Jinja tag (<<, <% or <#), which would be executed, now or by the next update; leave the tag out."
MOST = 200  # characters of an answer that has no limit of its own
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
    """Adds to Jinja the filters of this module, and ``template_dir``."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        environment.filters["refuse_bad_answers"] = refuse_bad_answers
        environment.filters["distributions"] = distributions
        environment.filters["left_out"] = left_out
        environment.filters["requirements"] = requirements
        environment.filters["quoted"] = quoted
        environment.filters["markdown"] = markdown
        environment.filters["weekly"] = weekly
        environment.globals["template_dir"] = str(TEMPLATE)


def refuse_bad_answers(answers: Mapping[str, object]) -> str:
    """Raise BadAnswersError if `answers` (question → answer) hold anything that must not be rendered."""
    found = executed(typed()) or problems(answers)
    if found:
        raise BadAnswersError(found)
    return "yes"


def distributions(answers: Mapping[str, object]) -> list[str]:
    """The folders of vendor/ that a service with these answers has: the chassis, and each part that is on."""
    parts = [f"chassis-{name}" for name, answer in answers.items() if answer is True]
    return ["chassis", *sorted(part for part in parts if (SERVICE / "vendor" / part).is_dir())]


def left_out(answers: Mapping[str, object]) -> list[str]:
    """The folders of the template that a service with these answers has not: parts that are off, or all of vendor/."""
    if answers["_chassis"] != VENDORED:
        return ["vendor"]
    return [f"vendor/chassis-{name}" for name, answer in answers.items() if answer is False]


def requirements(answers: Mapping[str, object]) -> list[str]:
    """What a service with these answers requires of those, sorted, as ``_chassis`` of cookiecutter.json says.

    ``vendored`` is what lies in vendor/, by a local version, which no index can have. Else it is the requirement on the
    chassis: that on a part is the same with its name, and with its folder where it is fetched from one.
    """
    where, version = str(answers["_chassis"]), answers["_template_version"]
    suffixes = [name.removeprefix("chassis") for name in distributions(answers)]
    if where == VENDORED:
        return sorted(f"{CHASSIS}{suffix}=={version}+{VENDORED}" for suffix in suffixes)
    return sorted(FOLDER.sub(rf"\g<0>{suffix}", where.replace(CHASSIS, CHASSIS + suffix, 1)) for suffix in suffixes)


def _of_the_chassis(answers: Mapping[str, object]) -> list[str]:
    where = str(answers.get("_chassis", VENDORED))
    if where == VENDORED or REQUIREMENT.fullmatch(where):
        return []
    from_git = f"{CHASSIS} @ git+URL@1.2.3#subdirectory=vendor/chassis"
    return [f"_chassis = {_shown(where)}: type {VENDORED}, {CHASSIS}==1.2.3, or {from_git}."]


def quoted(value: str) -> str:
    """`value` as a double-quoted string that JSON, TOML and YAML read alike."""
    return json.dumps(value, ensure_ascii=False)


# What CommonMark and GitHub would take for markup in a heading or a paragraph of one line. Not a star between spaces
# nor an underscore within a word: they are text as they stand.
MARKUP = re.compile(
    r"""
    [`\[\]]
    | \\ (?= [!-/:-@\[-`{-~] | $ )
    | < (?= [A-Za-z/!?] )
    | & (?= \#? \w+ ; )
    | ~ (?= .*~ ) | (?<= ~ ) ~ | ~ $
    | (?<! [A-Za-z0-9] ) _ | _ (?! [A-Za-z0-9] )
    | (?<! \  ) \* | \* (?! \  )
    | ^ [\#>+-]
    """,
    re.VERBOSE,
)


def markdown(value: str) -> str:
    """`value`, one line, as Markdown that shows it: the characters that would be markup get a backslash."""
    numbered = re.sub(r"^(\d{1,9})([.)])(?= |$)", r"\1\\\2", MARKUP.sub(r"\\\g<0>", value))
    return re.sub(r"(?<= )(#+)$", r"\\\1", numbered)  # a heading may end in these


def weekly(value: str) -> str:
    """A minute of the week in the words of cron, always the same for `value`, and spread over the week for many.

    Never the first of an hour, for which GitHub has too much to do:
    https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule
    """
    hour_of_week, minute = divmod(zlib.crc32(value.encode()) % (7 * 24 * 59), 59)
    return f"{minute + 1} {hour_of_week % 24} * * {hour_of_week // 24}"


@cache
def questions() -> Mapping[str, Any]:
    """The questions of cookiecutter.json with their defaults: a text, a list of choices, or a bool of a capability."""
    declared = json.loads((TEMPLATE / "cookiecutter.json").read_text(encoding="utf-8"))
    return {question: default for question, default in declared.items() if not question.startswith("_")}


def typed() -> Mapping[str, object]:
    """What stands on cookiecutter's command line, question → answer, as nobody has rendered it yet."""
    command = click.get_current_context(silent=True)
    return (command.params.get("extra_context") if command else None) or {}


def executed(raw: Mapping[str, object]) -> list[str]:
    """Say for each answer that cookiecutter takes for a template of its own that it must not be one.

    :param raw: question → answer before cookiecutter renders it, or the template's own default.
    """
    tagged = [one for one in questions() if raw.get(one) != questions()[one] and _is_executed(raw.get(one))]
    return [f"{question} = {_shown(raw[question])}: {A_TAG}" for question in tagged]


def _is_executed(answer: object) -> bool:
    return isinstance(answer, str) and bool(JINJA.search(answer)) and not LITERAL.fullmatch(answer)


def problems(answers: Mapping[str, object]) -> list[str]:
    """Say for each bad answer what is wrong and what to type instead; empty when all are good."""
    complaints = {question: _complaint(question, default, answers) for question, default in questions().items()}
    return [
        f"{question} = {_shown(answers.get(question))}: {complaint}"
        for question, complaint in complaints.items()
        if complaint
    ] + _of_the_chassis(answers)


def _complaint(question: str, default: Any, answers: Mapping[str, object]) -> str | None:
    answer = answers.get(question)
    if question not in answers:
        return "it is not answered. In cookiecutter.json each question stands above __checked."
    if isinstance(default, bool):
        return None if isinstance(answer, bool) else "type true or false."
    if isinstance(default, list):
        return None if answer in default else f"type {', '.join(default[:-1])} or {default[-1]}."
    if answer == default == "":  # nobody has to answer it
        return None
    return _not_one_line(answer) or CHECKS.get(question, _limited(MOST))(str(answer))


def _shown(answer: object) -> str:
    text = json.dumps(answer)  # ASCII, so that look-alikes and invisible characters show
    return text if len(text) <= 60 else f"{text[:56]}…"


def _not_one_line(answer: object) -> str | None:
    if not isinstance(answer, str):
        return f"a text is expected, not {type(answer).__name__}; type it in quotes."
    if not answer.strip():
        return "it is empty; type at least one letter."
    if answer != answer.strip():
        return "it begins or ends with a space; type it without."
    if JINJA.search(answer):
        return A_TAG
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
        return f"use a-z, 0-9 and single hyphens, a letter first; type {suggestion(answer, '-')}."
    if len(answer) > 40:
        return "it is longer than 40 characters, and images and deployments are named after it; type a shorter one."
    return _taken_instead(answer, "-")


def _package_name(answer: str) -> str | None:
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", answer):
        return f"use a-z, 0-9 and single underscores, a letter first; type {suggestion(answer, '_')}."
    if len(answer) > 40:
        return "it is longer than 40 characters; type a shorter one."
    return _taken_instead(answer, "_")


def _taken_instead(answer: str, separator: str) -> str | None:
    taken = _taken(answer)
    return f"{taken}; type {suggestion(answer, separator)}, for example." if taken else None


def _taken(answer: str) -> str | None:
    name = answer.replace("-", "_")
    if keyword.iskeyword(name):
        return "it is a keyword of Python"
    if name in STANDARD_LIBRARY:
        return "the standard library has a module of that name"
    if name in RESERVED:
        return "the name has a meaning of its own in a service"
    if name in IMPORT_NAMES or name in dependency_names():
        return "a dependency of the service has that name"
    return None


def suggestion(answer: str, separator: str) -> str:
    """A name made of `answer`'s words that would be accepted."""
    plain = unicodedata.normalize("NFKD", answer).encode("ascii", "ignore").decode().lower()
    words = separator.join(re.findall(r"[a-z0-9]+", plain)).lstrip("0123456789" + separator)
    name = words[:40].rstrip(separator) or f"my{separator}service"
    return f"{name[:32].rstrip(separator)}{separator}service" if _taken(name) else name


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


# Of texts; any other is one line of at most MOST characters.
CHECKS: dict[str, Callable[[str], str | None]] = {
    "project_name": _limited(60),
    "project_slug": _project_slug,
    "package_name": _package_name,
    "owner": _owner,
    "repository_url": _repository_url,
}
