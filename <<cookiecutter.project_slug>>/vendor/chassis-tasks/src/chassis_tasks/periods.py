"""Periods: when a task is due. Times are seconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cronsim import CronSim, CronSimError

from .definition import Policy, Task

FIELDS = (
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of month", "1 to 31"),
    ("month", "1 to 12, or jan to dec"),
    ("day of week", "0 to 7, or sun to sat"),
)


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
    if policy.cron and (fault := cron_fault(policy.cron)):
        raise ValueError(
            f'The task {name} has cron="{policy.cron}": {fault}. Write minute, hour, day of month, month and day of '
            'week, such as "*/5 * * * *".'
        )


def cron_fault(expression: str) -> str:
    """What is wrong with a cron expression; "" if nothing is."""
    fields = expression.split()
    if len(fields) != len(FIELDS):  # cronsim takes a sixth, for seconds
        return f"it has {len(fields)} fields, not five"
    for place, (name, range_) in enumerate(FIELDS):
        # cronsim does not say which part is wrong, nor what is right.
        alone = [field if at == place else "*" for at, field in enumerate(fields)]
        if not _is_ever(" ".join(alone)):
            return f"{fields[place]!r} is no {name}: {range_}"
    return "" if _is_ever(expression) else "there is no such day"


def tick(policy: Policy, now: float) -> int:
    """The last moment until `now` at which the task was due."""
    if policy.cron:
        return int(_last(policy.cron, now).timestamp())
    return int(now // policy.every * policy.every)


def _is_ever(expression: str) -> bool:
    try:
        _last(expression, 0)
    except (CronSimError, StopIteration, ValueError):
        return False
    return True


def _last(expression: str, now: float) -> datetime:
    # In UTC no hour is missing or comes twice. A microsecond more, since cronsim looks before the moment it is given.
    moment = datetime.fromtimestamp(now, UTC).replace(microsecond=1)
    return next(CronSim(expression, moment, reverse=True))
