"""The commands of the capability: python -m <package> auth COMMAND."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from chassis.service import Service

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class Duration(click.ParamType[timedelta]):
    """A length of time: 90s, 15m, 12h, 30d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        number, unit = str(value)[:-1], str(value)[-1:]
        if not number.isascii() or not number.isdecimal() or len(number) > 6 or unit not in UNITS or not int(number):
            self.fail(f"{value!r} is no length of time such as 90s, 15m, 12h, 30d", param, ctx)
        return timedelta(seconds=int(number) * UNITS[unit])


@click.group("auth")
def auth_commands() -> None:
    """Make tokens for trying things out."""


@auth_commands.command("token")
@click.option("--subject", required=True, help="Whom the token speaks for.")
@click.option("--scope", "scopes", multiple=True, help="What it allows; may be given several times.")
@click.option("--expires", type=Duration(), default="15m", show_default=True, help="How long: 90s, 15m, 12h, 30d.")
@click.pass_obj
def token_command(service: Service, subject: str, scopes: tuple[str, ...], expires: timedelta) -> None:
    """Print a token that this service takes.

    Signed with the key in the settings; in development there is one without any. A service that has its issuer's
    public keys alone can sign none.
    """
    from .settings import is_private
    from .tokens import make_token
    from .verifier import LONGEST_SUBJECT, NOT_IN_SUBJECTS

    if not 0 < len(subject) <= LONGEST_SUBJECT:
        raise click.BadParameter(f"The subject has 1 to {LONGEST_SUBJECT} characters.", param_hint="--subject")
    if NOT_IN_SUBJECTS.search(subject):
        raise click.BadParameter("The subject has a character that cannot be written.", param_hint="--subject")
    settings = service.load()
    token = make_token(settings, subject=subject, scopes=" ".join(scopes).split(), expires=expires)
    if not is_private(settings):
        click.echo(f"This token is good in {settings.environment}. Nobody issued it: keep it to yourself.", err=True)
    click.echo(token)
