"""The command line: python -m <package> COMMAND."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from . import logs
from .server import PortTakenError, serve
from .service import refuse_foreign_chassis, service_version
from .settings import SettingsError, load

if TYPE_CHECKING:
    from .service import Service


class BadSettingsError(click.ClickException):
    """Printed by click; exit code 2."""

    exit_code = 2


class CannotStartError(click.ClickException):
    """Printed by click; exit code 2: what must be mended is the command or its settings."""

    exit_code = 2


def command_line(service: Service) -> click.Group:
    """The commands of `service`."""

    @click.group(context_settings={"help_option_names": ["-h", "--help"]})
    def commands() -> None:
        """Run the service, or one of its one-off commands. Settings come from config/ and the environment."""
        refuse_foreign_chassis(service.package)

    @commands.command("serve")
    def serve_command() -> None:
        """Serve HTTP until SIGTERM or Ctrl-C."""
        try:
            settings = load(service.settings)
            logs.configure(settings)
            sys.exit(serve(service, settings=settings))
        except SettingsError as error:
            raise BadSettingsError("\n  ".join(["The settings are wrong.", *error.problems])) from error
        except PortTakenError as error:
            raise CannotStartError(str(error)) from error

    @commands.command("version")
    def version_command() -> None:
        """Print the service's name and version."""
        settings = load(service.settings)
        click.echo(f"{settings.name} {service_version(settings.name)}")

    return commands
