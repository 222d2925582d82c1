"""Periods: when a task is due. Times are seconds since the epoch."""

from __future__ import annotations

from functools import cache
from typing import Any

from . import cron
from .definition import Policy, Task

cron_of = cache(cron.parsed)


def is_periodic(policy: Policy) -> bool:
    return bool(policy.cron or policy.every)


def refuse_unusable(task: Task[..., Any]) -> None:
    """Raises ValueError if a task cannot be sent by itself, though it says so."""
    name, policy = task.name, task.policy
    if not is_periodic(policy):
        return
    if task.required:
        raise ValueError(f"The task {name} is sent by itself: give its parameter {task.required[0]} a default.")
    if policy.cron and policy.every:
        raise ValueError(f"The task {name} has cron= and every=. Choose one.")
    if policy.every and policy.every < 1:
        raise ValueError(f"The task {name} has every={policy.every:g}. The shortest period is 1 second.")
    if not policy.cron:
        return
    try:
        cron_of(policy.cron)
    except ValueError as error:
        raise ValueError(
            f'The task {name} has cron="{policy.cron}": {error}. Write minute, hour, day of month, month and day of '
            'week, such as "*/5 * * * *".'
        ) from error


def tick(policy: Policy, now: float) -> int:
    """The last moment until `now` at which the task was due; 0 if that is too long ago to matter."""
    if policy.cron:
        return cron_of(policy.cron).last(now) or 0
    return int(now // policy.every * policy.every)
