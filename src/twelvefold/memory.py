"""The memory of a service, `.twelvefold/`: what scaraplate reads of it."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import yaml
from scaraplate.cookiecutter import CookieCutterContext, CookieCutterContextDict

from twelvefold import latch, safe_yaml
from twelvefold.engine.answers import named_after, packages_of
from twelvefold.engine.guards import refuse_own_application, refuse_what_would_be_lost
from twelvefold.engine.template import refuse_old_engine
from twelvefold.errors import RefusedError
from twelvefold.service import ANSWERS, APPLIED, MANIFEST, TEMPLATE, Answer, folders_above, refuse_no_answer
from twelvefold.workspace import refuse_shared_vendor

RESTORE = "Restore it from git: git checkout --"
# What Jinja would not copy as it stands: the template's delimiters, and line ends, which Jinja normalises.
NOT_LITERAL = re.compile(r"<<|<%|<#|[\r\n]")
ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n", "\r": r"\r"})


class Answers(CookieCutterContext):
    """The answers as JSON in `.twelvefold/answers.json`, handed to cookiecutter so that it renders none of them.

    scaraplate makes one for the service and, after rendering, one for the render.
    """

    def __init__(self, target_path: Path) -> None:
        super().__init__(target_path)
        self.path = target_path / ANSWERS
        latch.start(target_path)
        # The post_gen hook's closing message is for people who start a service, not for a rollup.
        os.environ["TWELVEFOLD_QUIET"] = "1"

    def read(self) -> CookieCutterContextDict:
        """Return question → answer; a name that is not stored follows from the folder's own.

        Raises RefusedError if the file is not a JSON object of answers that the template takes, or if the
        service is not as the memory says, so that a rollup would write to other places than it should.
        """
        refuse_new_rules()
        manifest = self._load(MANIFEST)
        refuse_shared_vendor(self.target_path, manifest)
        refuse_other_places(self.target_path, manifest)
        if not latch.is_render(self.target_path):
            refuse_own_application(self._load(TEMPLATE))
        answers = self._load(ANSWERS)
        for question, answer in answers.items():
            self._check(question, answer)
        answers = {**named_after(self.target_path.resolve().name), **answers}
        refuse_another_package(answers, manifest)
        if latch.is_render(self.target_path):
            refuse_what_would_be_lost(latch.current().service, Path.cwd())
        else:
            latch.current().applied = frozenset(path for path, entry in manifest.items() if entry.get("sha256"))
        return CookieCutterContextDict({question: inert(answer) for question, answer in answers.items()})

    def _load(self, name: Path) -> dict[str, Any]:
        path = self.target_path / name
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise RefusedError(f"{path} cannot be read: {error}.") from error
        except (ValueError, RecursionError) as error:
            raise RefusedError(f"{path} is not JSON ({error}). {RESTORE} {name}") from error
        if not isinstance(content, dict):
            raise RefusedError(f"{path} holds no JSON object. {RESTORE} {name}")
        return content

    def _check(self, question: str, answer: object) -> None:
        refuse_no_answer(self.path, question, answer)
        choices = asked().get(question)
        if isinstance(choices, list) and answer not in choices:
            raise RefusedError(f"{self.path}: {question} is {json.dumps(answer)}; change it to {' or '.join(choices)}.")

    def __str__(self) -> str:
        return str(self.path)


def inert(answer: Answer) -> str:
    """`answer` as cookiecutter must get it so that rendering it returns it: it renders what it is given.

    A boolean stays one, whatever the annotation that scaraplate asks for says.
    """
    if isinstance(answer, bool) or not NOT_LITERAL.search(answer):
        return answer  # type: ignore[return-value]
    return f'<< "{answer.translate(ESCAPES)}" >>'


def refuse_new_rules() -> None:
    """Raise RefusedError if this package is older than scaraplate.yaml asks for; `twelvefold` looks by itself."""
    rules = _of_template("scaraplate.yaml", safe_yaml.load, yaml.YAMLError)
    source = str(asked().get("_template_url", ""))
    refuse_old_engine(rules, source, "scaraplate rollup TEMPLATE SERVICE")


def asked() -> dict[str, Any]:
    """The template's questions, as cookiecutter.json has them; empty outside of the `scaraplate rollup` command.

    cookiecutter answers a choice that is none with a traceback.
    """
    return _of_template("cookiecutter.json", json.loads, ValueError)


def _of_template(name: str, load: Callable[[str], Any], unreadable: type[Exception]) -> dict[str, Any]:
    """scaraplate does not tell a context where the template is. click, which parsed the command, does."""
    command = click.get_current_context(silent=True)
    if command is None or "template_dir" not in command.params:
        return {}
    try:
        content = load((Path(command.params["template_dir"]) / name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, unreadable):  # scaraplate says so, or is in what it rendered
        return {}
    return content if isinstance(content, dict) else {}


def refuse_other_places(service: Path, manifest: dict[str, Any]) -> None:
    """Raise RefusedError if scaraplate would follow a link, or find a folder where it writes a file."""
    written = [str(name) for name in (ANSWERS, MANIFEST, TEMPLATE)]
    for name, entry in manifest.items():
        if not isinstance(entry, dict):
            raise RefusedError(f"{service / MANIFEST} holds no entry for {name}. {RESTORE} {MANIFEST}")
        written += [name, str(APPLIED / name)] if entry.get("owner") == "merged" else [name]
    for folder in sorted({folder for name in written for folder in folders_above(name)}):
        _refuse_other_kind(service, folder, stat.S_ISDIR, "a folder")
    for name in written:
        _refuse_other_kind(service, name, stat.S_ISREG, "a file")


def _refuse_other_kind(service: Path, name: str, is_right: Callable[[int], bool], kind: str) -> None:
    path = f"{service}/{name}"
    try:
        mode = os.lstat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        raise RefusedError(f"{path} cannot be looked at: {error}.") from error
    if stat.S_ISLNK(mode):
        raise RefusedError(f"{path} is a symbolic link, which an update would follow. Put {kind} there.")
    if not is_right(mode):
        raise RefusedError(f"{path} is not {kind}, as it is in the template. Move it away.")


def refuse_another_package(answers: dict[str, Answer], manifest: dict[str, Any]) -> None:
    """Raise RefusedError if the manifest's package is not the one that the answers name."""
    package = answers.get("package_name", str(answers["project_slug"]).replace("-", "_"))
    rendered = packages_of(manifest)
    if rendered and package not in rendered:
        was = min(rendered)
        raise RefusedError(
            f"{ANSWERS} names the package {package}, but the service was rendered with src/{was}/. Set "
            f'"package_name": "{was}"; an update does not rename a package.'
        )
