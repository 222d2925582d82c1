"""The command line: python -m <package> COMMAND.

`main` is the one place that prints what went wrong and picks the exit code: 0 done, 1 could not be done, 2 typed or
configured wrongly, 130 interrupted.
"""

import json
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO

import click

from .application import Application
from .failures import StartError
from .own_commands import with_settings
from .settings import SettingsError, load, read
from .source import second_chassis
from .versions import chassis_version


def main(service: Application, arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (by default this process's) name; return the exit code."""
    try:
        _refuse_second_chassis(service.package)
        result = command_line(service).main(arguments, prog_name=f"python -m {service.package}", standalone_mode=False)
    except SettingsError as error:
        click.echo("\n  ".join(["Error: The settings are wrong.", *error.problems]), err=True)
        return 2
    except StartError as error:
        click.echo(f"Error: {error}", err=True)
        return 2
    except click.ClickException as error:
        _tell(error)
        return error.exit_code
    except click.Abort as error:
        click.echo("Aborted!", err=True)
        return 130 if isinstance(error.__cause__ or error.__context__, KeyboardInterrupt) else 1
    return result if isinstance(result, int) else 0  # what --help and the like exit with


def _refuse_second_chassis(package: str) -> None:
    if place := second_chassis(package):
        raise StartError(
            f"{place} is a second chassis, from before it lay in vendor/: which of them is imported depends on names. "
            f"Remove it: git rm -r {place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place}"
        )


def _tell(error: click.ClickException) -> None:
    if isinstance(error, click.UsageError) and error.ctx and not isinstance(error, click.exceptions.NoArgsIsHelpError):
        # click's own words are four lines, of which a log shows the first
        sentence = f"{error.format_message().rstrip('.')}. See: {error.ctx.command_path} --help"
        click.echo(f"Error: {' '.join(sentence.split())}", err=True)
    else:
        error.show()


def command_line(service: Application) -> click.Group:
    """The commands of `service`: the chassis' and its own. Raises ValueError if one of its own hides the chassis'."""
    group = click.Group(
        help="Run the service, or one of its one-off commands. Settings come from config/ and the environment.",
        context_settings={"help_option_names": ["-h", "--help"], "obj": service},
    )
    for command in (serve_command, config_commands, routes_command, openapi_command, version_command, shell_command):
        group.add_command(command)
    for part in service.parts.values():
        for command in part.commands():
            group.add_command(command)
    for command in service.commands:
        if command.name in group.commands:
            raise ValueError(f"The command {command.name} is there already. Give yours another name.")
        group.add_command(with_settings(command, service))
    return group


@click.command("serve")
@click.pass_obj
def serve_command(service: Application) -> int:
    """Serve HTTP until SIGTERM or Ctrl-C."""
    from .serving import serve

    settings = load(service.settings)
    service.configure_logging(settings)
    return serve(service, settings=settings)


@click.group("config")
def config_commands() -> None:
    """Show the settings, or check them."""


@config_commands.command("show")
@click.option("--json", "as_json", is_flag=True, help="As one JSON object.")
@click.pass_obj
def config_show(service: Application, as_json: bool) -> None:
    """Print every setting with the layer that set it. Secrets are masked."""
    from .settings.explain import shown

    found = read(service.settings)
    rows = shown(found.settings, found.given)
    if as_json:
        _print_json({".".join(row.path): {"value": row.value, "layer": row.layer, "name": row.name} for row in rows})
        return
    _print_table(
        (".".join(row.path), json.dumps(row.value, ensure_ascii=False), f"{row.layer} {row.name}".strip())
        for row in rows
    )


@config_commands.command("check")
@click.pass_obj
def config_check(service: Application) -> None:
    """Say whether the service could start with its settings.

    Exits with 0 if it could; with 2, and with everything that is wrong, if it could not.
    """
    settings = load(service.settings)
    click.echo(f"The settings of {settings.name} are right for {settings.environment}.")


@config_commands.command("example")
@click.pass_obj
def config_example(service: Application) -> None:
    """Print every setting as a line for .env."""
    from .settings.explain import example_lines

    for line in example_lines(service.settings):
        click.echo(line)


@click.command("routes")
@click.pass_obj
def routes_command(service: Application) -> None:
    """List what is served: method, path, name."""
    from .http.routes import listed

    settings = load(service.settings)
    _print_table(listed([*service.routes(settings), *service.api(settings).routes]))


@click.command("openapi")
@click.option("--output", type=click.File("w", encoding="utf-8", lazy=True), default="-", help="A file to write.")
@click.pass_obj
def openapi_command(service: Application, output: TextIO) -> None:
    """Print the OpenAPI document as JSON."""
    _print_json(service.api(load(service.settings)).openapi(), output)


@click.command("version")
@click.pass_obj
def version_command(service: Application) -> None:
    """Print which service this is, and which chassis is in it."""
    settings = load(service.settings)
    commit = f"commit {settings.commit}, " if settings.commit else ""
    click.echo(f"{settings.name} {service.release(settings)} ({commit}chassis {chassis_version()})")


@click.command("shell")
@click.pass_obj
def shell_command(service: Application) -> None:
    """Open a Python prompt inside the service.

    It knows `settings`, `service` and `app`. What comes through a pipe is run instead.
    """
    settings = load(service.settings)
    service.configure_logging(settings)
    _prompt({"settings": settings, "service": service, "app": service.app(settings)})


def _prompt(names: dict[str, Any]) -> None:
    """Open a prompt that knows `names`, IPython's where it is installed; run stdin if that is no terminal."""
    if not sys.stdin.isatty():
        exec(compile(sys.stdin.read(), "<stdin>", "exec"), {"__name__": "__main__", **names})  # noqa: S102 - as python does
    elif find_spec("IPython"):
        import_module("IPython").start_ipython(argv=[], user_ns=names)
    else:
        import code

        import_module("readline" if find_spec("readline") else "code")  # history and editing
        code.interact(banner=f"Python {sys.version.split()[0]}; here are: {', '.join(names)}", local=names, exitmsg="")


def _print_json(value: object, output: TextIO | None = None) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False), file=output)


def _print_table(rows: Iterable[tuple[str, ...]]) -> None:
    table = list(rows)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
