"""A service updates itself: its own pipeline proposes the update to its own repository."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from twelvefold.console import ExitCode, say, show
from twelvefold.engine import report as reports
from twelvefold.engine import template as templates
from twelvefold.engine.rollup import refuse_untrusted, template_url
from twelvefold.errors import FailedError, RefusedError
from twelvefold.fleet.forges import RIGHTS
from twelvefold.fleet.jobs import Job, run
from twelvefold.fleet.options import ProposeOptions
from twelvefold.fleet.outcomes import CODES, KINDS, line
from twelvefold.fleet.propose import Wish
from twelvefold.fleet.results import Result, TurnOutcome
from twelvefold.fleet.tokens import token_from
from twelvefold.git import GitError, git, without_credentials
from twelvefold.service import Repository, Service

TOKENS = {"gitlab": "TWELVEFOLD_TOKEN", "gitlab-push": "TWELVEFOLD_TOKEN", "github": "GITHUB_TOKEN"}
ANNOTATIONS = {TurnOutcome.PERSON: "warning", TurnOutcome.FAILED: "error"}


@dataclass(frozen=True, slots=True)
class Home:
    """Where a service's repository lives, and what opens requests there."""

    url: str
    forge: str
    forge_url: str | None = None


def home(service: Path, environ: Mapping[str, str]) -> Home:
    """As the pipeline's own variables say, or else as the clone's `origin` does, on no forge that is known then."""
    if environ.get("GITLAB_CI") and environ.get("CI_PROJECT_URL"):
        return Home(environ["CI_PROJECT_URL"] + ".git", "gitlab", environ.get("CI_SERVER_URL"))
    if environ.get("GITHUB_ACTIONS") and environ.get("GITHUB_REPOSITORY"):
        page = f"{environ.get('GITHUB_SERVER_URL', 'https://github.com')}/{environ['GITHUB_REPOSITORY']}"
        return Home(page + ".git", "github", environ.get("GITHUB_API_URL"))
    try:
        return Home(without_credentials(git(service, "remote", "get-url", "origin")), "git")
    except GitError as error:
        raise RefusedError(f"{service} has no origin to propose to. Run: git remote add origin URL") from error


def run_propose(options: ProposeOptions) -> ExitCode:
    """Propose the update to the repository that the service's folder is a clone of, and return the exit code.

    The folder itself stays as it is: a pipeline's clone may be shallow, or of another commit.
    """
    for path in options.reports:
        reports.refuse_unknown(path)
    service = Service.open(options.service)
    with tempfile.TemporaryDirectory(prefix="twelvefold-") as scratch:
        result = run(job_of(service, options, Path(scratch)))
    for path in options.reports:
        write(result, path)
    tell(result, os.environ)
    return CODES[result.outcome]


def job_of(service: Service, options: ProposeOptions, scratch: Path) -> Job:
    """What is to be done in the service's repository. Raises RefusedError if that is not known, or has no token."""
    at = home(service.root, os.environ)
    kind = options.forge or at.forge
    token = token_of(kind, options)
    wish = wish_of(service, options)
    return Job(
        key="service",
        name=str(service.answers.get("project_slug") or service.root.name),
        url=at.url,
        wish=wish,
        template=templates.find(wish.template, wish.ref),
        forge=kind,
        forge_url=options.forge_url or at.forge_url,
        token=token,
        results=scratch / "results",
        clones=scratch / "clones",
        seconds=options.timeout,
        is_dry=options.check,
    )


def token_of(kind: str, options: ProposeOptions) -> str | None:
    """The token, out of a file, standard input, or the variable that a pipeline has. Raises RefusedError."""
    if options.token_file:
        if options.token:
            raise RefusedError("--token and --token-file both say where the token is. Leave one of them out.")
        return token_from(options.token_file)
    variable = options.token or TOKENS.get(kind)
    if variable and not os.environ.get(variable):
        raise RefusedError(f"The variable {variable}, which should hold a token, is not set. {RIGHTS[kind]}")
    return os.environ[variable] if variable else None


def wish_of(service: Service, options: ProposeOptions) -> Wish:
    """The update that is asked for. Raises RefusedError if the template is not known, or not trusted."""
    url = template_url(service, options.template)
    refuse_untrusted(url, is_named=bool(options.template))
    return Wish(
        url,
        options.ref,
        options.answers,
        Repository.around(service.root).prefix.rstrip("/"),
        options.branch,
        heal=options.heal,
        lock=not options.no_lock,
        build=True,  # in a pipeline of its own, which builds it anyway
    )


def write(result: Result, path: Path) -> None:
    """Write a report: the request's description, or the result for programs, by the name's ending."""
    told = asdict(result) | {"needs_person": result.outcome is TurnOutcome.PERSON}
    as_json = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    as_markdown = result.report or f"# {line(result)}\n"
    try:
        path.write_text(as_json if path.suffix == ".json" else as_markdown, encoding="utf-8")
    except OSError as error:
        raise FailedError(f"{path} cannot be written: {error.strerror}.") from error


def tell(result: Result, environ: Mapping[str, str]) -> None:
    """Print what happened; in a workflow of GitHub, what needs a person as an annotation, which its page shows."""
    kind = ANNOTATIONS.get(result.outcome)
    if kind and environ.get("GITHUB_ACTIONS"):
        # https://docs.github.com/actions/reference/workflows-and-actions/workflow-commands
        escaped = line(result).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        say(f"::{kind} title=Update from the template::{escaped}")
    else:
        show(KINDS[result.outcome], line(result))
