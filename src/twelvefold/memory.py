"""The memory of a service, `.twelvefold/`: what scaraplate reads of it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import click
from scaraplate.cookiecutter import CookieCutterContext, CookieCutterContextDict

ANSWERS_FILE = Path(".twelvefold") / "answers.json"
# What Jinja would not copy as it stands: the template's delimiters, and line ends, which Jinja normalises.
NOT_LITERAL = re.compile(r"<<|<%|<#|[\r\n]")
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r"})


class UnusableMemoryError(click.ClickException):
    """The memory cannot be used. Printed by click as one sentence; exit code 2."""

    exit_code = 2


class Answers(CookieCutterContext):
    """The answers as JSON in `.twelvefold/answers.json`, handed to cookiecutter so that it renders none of them.

    scaraplate makes one for the service and, after rendering, one for the render.
    """

    def __init__(self, target_path: Path) -> None:
        super().__init__(target_path)
        self.path = target_path / ANSWERS_FILE
        # The post_gen hook's closing message is for people who start a service, not for a rollup.
        os.environ["TWELVEFOLD_QUIET"] = "1"

    def read(self) -> CookieCutterContextDict:
        """Return question → answer; without a memory, the names that follow from the folder's own.

        Raises UnusableMemoryError if the file is not a JSON object of texts and booleans.
        """
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return _inert_all(_named_after(self.target_path.resolve().name))
        except (OSError, UnicodeDecodeError) as error:
            raise UnusableMemoryError(f"{self.path} cannot be read: {error}.") from error
        return _inert_all(self._parse(text))

    def _parse(self, text: str) -> dict[str, str | bool]:
        restore = "Restore it from git: git checkout -- .twelvefold/answers.json"
        try:
            answers = json.loads(text)
        except ValueError as error:
            raise UnusableMemoryError(f"{self.path} is not JSON ({error}). {restore}") from error
        if not isinstance(answers, dict):
            raise UnusableMemoryError(f"{self.path} holds no JSON object of answers. {restore}")
        for question, answer in answers.items():
            if question.startswith("_"):
                raise UnusableMemoryError(f"{self.path} sets {question}, which is the template's. Remove that line.")
            if not isinstance(answer, (str, bool)):
                raise UnusableMemoryError(f"{self.path}: {question} must be a text, true or false, not {answer!r}.")
        return answers

    def __str__(self) -> str:
        return str(self.path)


def inert(answer: str | bool) -> str:
    """`answer` as cookiecutter must get it so that rendering it returns it: it renders what it is given.

    A boolean stays one, whatever the annotation that scaraplate asks for says.
    """
    if isinstance(answer, bool) or not NOT_LITERAL.search(answer):
        return answer  # type: ignore[return-value]
    return f'<< "{answer.translate(ESCAPES)}" >>'


def _inert_all(answers: dict[str, str | bool]) -> CookieCutterContextDict:
    return CookieCutterContextDict({question: inert(answer) for question, answer in answers.items()})


def _named_after(folder: str) -> dict[str, str | bool]:
    return {"project_slug": folder, "project_name": folder.replace("-", " ").title()}
