"""The commands of tasks: the process types `worker` and `scheduler`, and what an operator does by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click
from pydantic import ValidationError

from chassis.settings import load

from .errors import InProcessError, NoStoreError, StoreMissingError, TasksUnavailableError, faults
from .order import UnreadableError, read
from .urls import is_in_memory, store_url

if TYPE_CHECKING:
    from chassis.service import Service
    from chassis.settings import Settings

    from .dispatcher import Dispatcher
    from .queue import Buried
    from .records import TaskInfo

Result = TypeVar("Result")


@click.command("worker")
@click.pass_obj
def worker_command(service: Service) -> int:
    """Work on tasks until SIGTERM or Ctrl-C. Start more to do more."""
    settings = load(service.settings)
    _refuse_memory(settings, "a worker would see none of its tasks: the process that serves works on them itself")
    from .duties import work

    tasks_of(service).duty = partial(work, is_healthy=service.health.is_ready)
    return _stand_by(service, settings)


@click.command("scheduler")
@click.pass_obj
def scheduler_command(service: Service) -> int:
    """Send the periodic tasks until SIGTERM or Ctrl-C. Of several, one is active and the others stand by."""
    from chassis.service import Service

    from .duties import schedule

    settings = load(service.settings)
    _refuse_memory(settings, "a scheduler could hand its tasks to nobody: the process that serves sends them itself")
    if not store_url(cast("Any", settings)):
        raise StoreMissingError("The scheduler")
    tasks_of(service).duty = schedule
    # It needs nothing of the service but its tasks.
    alone = Service(package=service.package, settings=service.settings, parts={"tasks": service.parts["tasks"]})
    return _stand_by(alone, settings)


@click.group("tasks")
def tasks_commands() -> None:
    """Look after tasks: send, show and cancel them, and replay what failed."""


@tasks_commands.command("list")
@click.option("--json", "as_json", is_flag=True, help="As a JSON array.")
@click.pass_obj
def list_command(service: Service, as_json: bool) -> None:
    """List the tasks that there are, and when they are sent by themselves."""
    rows = [
        {"task": task.name, "parameters": task.parameters, "cron": task.policy.cron, "every": task.policy.every}
        for task in tasks_of(service).known.values()
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        period = row["cron"] or (f"every {row['every']:g} s" if row["every"] else "")
        click.echo(f"{row['task']}{row['parameters']}  {period}".rstrip())


@tasks_commands.command("send")
@click.argument("name")
@click.option("--json", "arguments", default="{}", help="The arguments, as a JSON object.")
@click.option("--delay", default=0.0, help="In how many seconds.")
@click.option("--key", default="", help="Send none if a task of this name and key is queued or runs.")
@click.pass_obj
def send_command(service: Service, name: str, arguments: str, delay: float, key: str) -> None:
    """Send the task NAME; print its id."""
    tasks = tasks_of(service)
    task = tasks.known.get(name)
    if task is None:
        raise click.UsageError(f"There is no task {name}. There are: {', '.join(tasks.known) or 'none'}")
    try:
        given = json.loads(arguments)
        if not isinstance(given, dict):
            raise click.UsageError("The arguments are no JSON object. Write --json '{\"name\": …}'")
        task.packed(**given)
    except (ValueError, TypeError) as error:
        raise click.UsageError(f"The arguments do not fit {name}{task.parameters}: {_sentence(error)}") from error

    async def send(_: Dispatcher) -> str:
        sent = await task.using(delay=delay, key=key).enqueue(**given)
        return sent.id

    click.echo(_run(service, send))


@tasks_commands.command("show")
@click.argument("task_id")
@click.pass_obj
def show_command(service: Service, task_id: str) -> None:
    """Print what is known of a task, as JSON."""
    _print_info(_run(service, lambda tasks: tasks.find(task_id)), task_id)


@tasks_commands.command("cancel")
@click.argument("task_id")
@click.pass_obj
def cancel_command(service: Service, task_id: str) -> None:
    """Cancel a task that is queued or runs; print what is known of it then."""
    _print_info(_run(service, lambda tasks: tasks.cancel(task_id)), task_id)


@tasks_commands.group("dead")
def dead_commands() -> None:
    """The dead letters: what failed for good, or nobody understood."""


@dead_commands.command("list")
@click.option("--json", "as_json", is_flag=True, help="As a JSON array.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1), help="At most so many.")
@click.pass_obj
def dead_list_command(service: Service, as_json: bool, limit: int) -> None:
    """List the dead letters, oldest first."""
    letters = _run(service, lambda tasks: _letters(tasks, limit))
    if as_json:
        click.echo(json.dumps(letters, indent=2, ensure_ascii=False))
        return
    for letter in letters:
        click.echo("  ".join(str(letter[name]) for name in ("id", "at", "task", "reason")))


@dead_commands.command("replay")
@click.argument("ids", nargs=-1)
@click.option("--all", "takes_all", is_flag=True, help="Every dead letter that there is.")
@click.pass_obj
def dead_replay_command(service: Service, ids: Sequence[str], takes_all: bool) -> None:
    """Have dead letters worked on again, once each."""
    if bool(ids) == takes_all:
        raise click.UsageError("Say which: ids, as `tasks dead list` prints them, or --all")
    count = _run(service, lambda tasks: tasks.open.queue.replay(None if takes_all else ids))
    click.echo(f"{count} handed out again.")
    if len(set(ids)) > count:
        raise click.ClickException(f"{len(set(ids)) - count} of them are no dead letters.")


def tasks_of(service: Service) -> Dispatcher:
    """The service's tasks."""
    return cast("Dispatcher", service.parts["tasks"])


async def _letters(tasks: Dispatcher, limit: int) -> list[dict[str, Any]]:
    return [_letter(letter) for letter in await tasks.open.queue.buried(limit)]


def _letter(letter: Buried) -> dict[str, Any]:
    shown = {"id": letter.id, "at": letter.at.isoformat(timespec="seconds"), "reason": letter.reason}
    try:
        order = read(letter.data)
    except UnreadableError:
        return {**shown, "task": "?", "task_id": None, "message": letter.data.decode("utf-8", "replace")}
    return {**shown, "task": order.task, "task_id": order.id, "attempt": order.attempt, "arguments": order.arguments}


def _run(service: Service, call: Callable[[Dispatcher], Awaitable[Result]]) -> Result:
    settings, tasks = load(service.settings), tasks_of(service)

    async def inside() -> Result:
        async with tasks.opened(settings):
            return await call(tasks)

    try:
        return asyncio.run(inside())
    except NoStoreError as error:
        raise StoreMissingError("That") from error
    except (OSError, TimeoutError, TasksUnavailableError) as error:
        cause = error.__cause__ or error
        raise click.ClickException(f"The queue cannot be reached: {type(cause).__name__}: {cause}") from error


def _print_info(info: TaskInfo | None, task_id: str) -> None:
    if info is None:
        raise click.ClickException(f"Nothing is known of a task {task_id}.")
    click.echo(info.model_dump_json(indent=2))


def _refuse_memory(settings: Settings, consequence: str) -> None:
    if is_in_memory(cast("Any", settings)):
        raise InProcessError(consequence)


def _stand_by(service: Service, settings: Settings) -> int:
    from chassis.serving import stand_by

    service.configure_logging(settings)
    port: int = cast("Any", settings).tasks_port
    return stand_by(service, settings=settings, port=port, variable="APP_TASKS_PORT")


def _sentence(error: Exception) -> str:
    return faults(error) if isinstance(error, ValidationError) else " ".join(str(error).split())
