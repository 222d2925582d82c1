"""The `twelvefold` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from twelvefold import console
from twelvefold.errors import FailedError, InterruptedByUser, RefusedError

TOKEN_FILE = click.option("--token-file", metavar="FILE", help="The file that holds the token; - for standard input.")
SERVICE = click.argument("service", type=click.Path(path_type=Path), default=Path())
TEMPLATE = click.option(
    "--template", metavar="URL", help="The template; the one that the service came from if not given."
)
REPORTS = click.option(
    "--report",
    "reports",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="Write a report: FILE.md or FILE.json; may be given for both.",
)


class Failure(click.Group):
    """Whatever ends the command ends it with one sentence and exit code 1, 2 or 3; never with a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except OSError as error:
            raise FailedError(f"{error.filename or ''}: {error.strerror}".lstrip(": ")) from error
        except KeyboardInterrupt as error:
            raise InterruptedByUser(
                "Interrupted. If files were being changed, the next command finishes that: twelvefold status"
            ) from error


@click.group(cls=Failure, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="twelvefold")
def main() -> None:
    """Keep services in step with the template that they were rendered from.

    Exit codes: 0 done or nothing to do, 1 there is something to do (--check), 2 bad input or a person should look,
    3 something outside failed.
    """


def answers_of(_context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    """The values of --answer, `question=answer`, as a mapping. Raises RefusedError if there is no `=`."""
    pairs = [one.partition("=") for one in given]
    for question, equals, _ in pairs:
        if not equals:
            raise RefusedError(f"--answer takes QUESTION=ANSWER, such as ci=github; it was given {question!r}.")
    return {question.strip(): answer for question, _, answer in pairs}


def version_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which version of the template, with which answers."""
    answer = click.option(
        "--answer", "answers", multiple=True, callback=answers_of, metavar="QUESTION=ANSWER", help="Give an answer."
    )
    ref = click.option("--ref", metavar="REF", help="A tag, branch or commit; the newest release if not given.")
    return ref(answer(command))


@main.command()
@SERVICE
@TEMPLATE
@version_options
@click.option("--check", is_flag=True, help="Only say whether it would change anything; exit code 1 if so.")
@click.option("--diff", is_flag=True, help="Only show what it would change.")
@REPORTS
@click.option("--branch", metavar="NAME", help="Do it on this branch, and commit.")
@click.option("--commit", is_flag=True, help="Commit what it changed.")
@click.option("--heal", is_flag=True, help="Yes, edits in what the template owns are to go: no exit code 2 for them.")
@click.option("--no-lock", is_flag=True, help="Do not run uv lock at the end.")
@click.option("--allow-downgrade", is_flag=True, help="Go back to an older version of the template.")
def rollup(**given: Any) -> None:
    """Bring SERVICE in step with its template."""
    from twelvefold.commands import run_rollup
    from twelvefold.options import RollupOptions

    sys.exit(run_rollup(RollupOptions(**given)))


@main.command()
@click.argument("repository", type=click.Path(path_type=Path), default=Path())
@click.option("--template", metavar="URL", help="The template.")
@version_options
@click.option("--yes", is_flag=True, help="Do it; without this, only show what would be done.")
@click.option("--no-input", is_flag=True, help="Do not ask: take what the repository's own files say.")
@REPORTS
@click.option("--branch", metavar="NAME", help="Do it on this branch, and commit.")
@click.option("--commit", is_flag=True, help="Commit what it changed.")
@click.option("--no-lock", is_flag=True, help="Do not run uv lock at the end.")
def adopt(**given: Any) -> None:
    """Bring REPOSITORY, which no template made, under one."""
    from twelvefold.commands import run_adopt
    from twelvefold.options import AdoptOptions

    sys.exit(run_adopt(AdoptOptions(**given)))


@main.command()
@SERVICE
@TEMPLATE
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(**given: Any) -> None:
    """Say where SERVICE stands.

    Its version, the newest one, and what is not as the template has it. Exit code 1 if it is not in step.
    """
    from twelvefold.commands import run_status
    from twelvefold.options import StatusOptions

    sys.exit(run_status(StatusOptions(**given)))


@main.command()
@click.argument("url")
def trust(url: str) -> None:
    """Trust the template at URL.

    Its hooks and extensions may run on this machine then, whenever a service names it.
    """
    from twelvefold.engine import template

    template.trust(url)
    console.say(f"Trusted. To take it back, remove its line in {template.trusted_file()}")


@main.command()
@SERVICE
@TEMPLATE
@version_options
@click.option("--branch", metavar="NAME", default="twelvefold/update", show_default=True, help="Of the request.")
@click.option(
    "--forge",
    type=click.Choice(["gitlab", "gitlab-push", "github", "git"]),
    help="Where; as the pipeline says if not given. gitlab-push needs no API.",
)
@click.option("--forge-url", metavar="URL", help="Of the instance; as the pipeline says if not given.")
@click.option("--token", metavar="VARIABLE", help="The variable that holds the token: TWELVEFOLD_TOKEN, GITHUB_TOKEN.")
@TOKEN_FILE
@click.option("--check", is_flag=True, help="Only say whether there is something to propose.")
@click.option("--heal", is_flag=True, help="Yes, edits in what the template owns are to go: no exit code 2 for them.")
@click.option("--no-lock", is_flag=True, help="Do not run uv lock.")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), default=600, help="Seconds that it may take.")
@REPORTS
def propose(**given: Any) -> None:
    """Propose the update of SERVICE to the repository that it is a clone of: a branch, and a request.

    For a service's own pipeline. The clone stays as it is.
    """
    with needing_the_extra():
        from twelvefold.fleet.options import ProposeOptions
        from twelvefold.fleet.pull import run_propose

    sys.exit(run_propose(ProposeOptions(**given)))


@main.group()
def fleet() -> None:
    """Keep all services of an organisation in step: fleet.toml says which."""


FLEET = click.option(
    "--fleet", "file", type=click.Path(path_type=Path), default=Path("fleet.toml"), metavar="FILE", show_default=True
)
STATE = click.option(
    "--state", type=click.Path(path_type=Path), metavar="FOLDER", help="Where results and clones are kept: .fleet/."
)
ONLY = click.option("--only", multiple=True, metavar="PATTERN", help="Only services of such names.")
WAVE = click.option("--wave", metavar="NAME", help="Only this wave.")
SHARD = click.option("--shard", metavar="I/N", help="Only the I-th of N parts: one a machine.")
JOBS = click.option("--jobs", type=click.IntRange(1, 256), default=os.cpu_count() or 1, help="Processes.")
MAX_FAILURES = click.option(
    "--max-failures", type=click.FloatRange(0, 1), metavar="SHARE", help="The share of a wave that may fail."
)


@fleet.command("rollup")
@FLEET
@STATE
@TOKEN_FILE
@ONLY
@click.option("--ref", metavar="REF", help="A tag, branch or commit of the template.")
@click.option("--check", is_flag=True, help="Only say which services would change.")
@WAVE
@SHARD
@JOBS
@click.option("--only-failed", is_flag=True, help="Only what failed the last time.")
@click.option("--resume", is_flag=True, help="Go on with the run that was interrupted, as it was begun.")
@MAX_FAILURES
@click.option("--no-lock", is_flag=True, help="Do not run uv lock.")
@click.option("--build", is_flag=True, help="Let uv lock run what services and their dependencies build with.")
def fleet_rollup(**given: Any) -> None:
    """Propose the update to every service: a branch, and a request that describes it."""
    with needing_the_extra():
        from twelvefold.fleet.commands import run_rollup
        from twelvefold.fleet.options import FleetRollupOptions

    sys.exit(run_rollup(FleetRollupOptions(**given)))


@fleet.command("run")
@FLEET
@STATE
@TOKEN_FILE
@ONLY
@click.option("--branch", metavar="NAME", required=True, help="The branch for what it changes.")
@click.option("--title", metavar="TEXT", help="Of the commit and of the request.")
@click.option("--check", is_flag=True, help="Only say where it would change something.")
@WAVE
@SHARD
@JOBS
@MAX_FAILURES
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def fleet_run(**given: Any) -> None:
    """Run COMMAND in every repository, and propose what it changed: twelvefold fleet run --branch NAME -- COMMAND."""
    with needing_the_extra():
        from twelvefold.fleet.commands import run_command
        from twelvefold.fleet.options import FleetRunOptions

    sys.exit(run_command(FleetRunOptions(**given)))


@fleet.command("status")
@FLEET
@STATE
@TOKEN_FILE
@ONLY
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def fleet_status(**given: Any) -> None:
    """Say where every service stands, as the last run found it."""
    with needing_the_extra():
        from twelvefold.fleet.commands import run_status
        from twelvefold.fleet.options import FleetStatusOptions

    sys.exit(run_status(FleetStatusOptions(**given)))


@fleet.command("report")
@FLEET
@STATE
@TOKEN_FILE
@ONLY
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("fleet.html"), metavar="FILE", show_default=True
)
@click.option("--title", metavar="TEXT", default="The fleet", show_default=True, help="Of the page.")
def fleet_report(**given: Any) -> None:
    """Write the fleet's page: one HTML file that shows where every service stands."""
    with needing_the_extra():
        from twelvefold.fleet.commands import run_report
        from twelvefold.fleet.options import FleetReportOptions

    sys.exit(run_report(FleetReportOptions(**given)))


@contextmanager
def needing_the_extra() -> Iterator[None]:
    """Say what to install if what only the fleet needs is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise RefusedError(
            f"{error.name} is not installed: the fleet needs the extra. Run: uvx --from 'twelvefold[fleet] @ git+URL' "
            "twelvefold fleet"
        ) from error
