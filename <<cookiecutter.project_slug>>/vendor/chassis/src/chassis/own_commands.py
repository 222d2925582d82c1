"""The team's own one-off commands, run as the service is: with its settings and its logging."""

import asyncio
import copy
import functools
import inspect
from collections.abc import Callable
from typing import Any

import click

from .application import Application


def with_settings(command: click.Command, service: Application) -> click.Command:
    """A copy of `command` that reads the settings and sets logging up before it runs; so do the commands of a group.

    The settings are `click.get_current_context().obj`, which `@click.pass_obj` hands over. The function may be
    asynchronous. In the team's package:

        @click.command()
        @click.option("--days", default=30, show_default=True)
        @click.pass_obj
        async def purge(settings: Settings, days: int) -> None:
            \"\"\"Delete what is older than that.\"\"\"

        service = Service(package=__package__, settings=Settings, commands=[purge])

    and `python -m <package> purge --days 7` runs it. Its own errors are `click.ClickException("...")`, exit code 1.
    """
    prepared = copy.copy(command)
    if isinstance(prepared, click.Group):
        prepared.commands = {name: with_settings(inner, service) for name, inner in prepared.commands.items()}
    if prepared.callback is not None:
        prepared.callback = _prepared(prepared.callback, service)
    return prepared


def _prepared(callback: Callable[..., Any], service: Application) -> Callable[..., None]:
    @functools.wraps(callback)
    def run(*arguments: Any, **options: Any) -> None:
        context = click.get_current_context()
        if not isinstance(context.obj, service.settings):  # a group around it has read them
            context.obj = service.load()
            service.configure_logging(context.obj)
        result = callback(*arguments, **options)
        if inspect.iscoroutine(result):
            asyncio.run(result)

    return run
