"""An order: one piece of work as it travels, in taskiq's message format."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from taskiq.message import TaskiqMessage

if TYPE_CHECKING:
    from taskiq import AsyncBroker

LONGEST_WAIT = 60.0  # seconds


class UnreadableError(Exception):
    """A message is none of ours, or damaged."""


@dataclass(frozen=True)
class Order:
    """What a message asks for. Times are in seconds since the epoch."""

    id: str
    task: str
    arguments: dict[str, Any]
    sent_at: float
    attempt: int = 1
    """Which attempt it asks for, from 1; a retry is an order of its own."""
    due_at: float = 0
    """When it was to be handed out for the first time."""
    deadline: float | None = None
    key: str = ""
    """The store's key that it holds until it has ended, "" for none."""
    key_seconds: float = 0
    """How much longer it holds that."""
    request_id: str = ""
    traceparent: str = ""
    tracestate: str = ""

    def again(self, seconds: float) -> Order:
        """The order for the next attempt, in so many seconds."""
        return replace(self, attempt=self.attempt + 1, due_at=time.time() + seconds)

    @property
    def waited(self) -> float:
        """For how many seconds it could have been worked on."""
        return max(0.0, time.time() - (self.due_at or self.sent_at))

    @property
    def delay(self) -> float:
        """In how many seconds it is to be handed out."""
        return max(0.0, self.due_at - time.time()) if self.due_at else 0.0

    @property
    def is_late(self) -> bool:
        return self.deadline is not None and time.time() >= self.deadline

    def labels(self) -> dict[str, Any]:
        """All but what taskiq's message has a place for; what is at its default is left out."""
        fields = {name: getattr(self, name) for name in LABELS}
        return {name: value for name, value in fields.items() if value != DEFAULTS[name]}


LABELS = ("sent_at", "attempt", "due_at", "deadline", "key", "key_seconds", "request_id", "traceparent", "tracestate")
DEFAULTS: dict[str, Any] = {name: Order.__dataclass_fields__[name].default for name in LABELS}
TYPES = {"attempt": int, "key": str, "request_id": str, "traceparent": str, "tracestate": str}


def message_of(order: Order) -> TaskiqMessage:
    """`order` as taskiq has it. The label `delay` is the queue's."""
    labels = order.labels()
    if delay := order.delay:
        labels["delay"] = delay
    return TaskiqMessage(task_id=order.id, task_name=order.task, labels=labels, args=[], kwargs=order.arguments)


def read(data: bytes, broker: AsyncBroker) -> Order:
    """The order in a message's bytes. Raises UnreadableError."""
    try:
        message = broker.formatter.loads(data)
        message.parse_labels()
        return order_of(message)
    except (ValueError, TypeError, KeyError, UnicodeError, RecursionError) as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error


def order_of(message: TaskiqMessage) -> Order:
    """The order in taskiq's message. Raises ValueError and the like if it is none."""
    if message.args:
        raise ValueError("arguments go by name here")
    labels = {
        name: TYPES.get(name, float)(value)
        for name, value in message.labels.items()
        if name in LABELS and value is not None
    }
    labels.setdefault("sent_at", 0.0)
    return Order(id=message.task_id, task=message.task_name, arguments=message.kwargs, **labels)


def patience(waited: float) -> float:
    """How long a message that nobody understands is left alone: as long as it has waited, up to a minute."""
    return min(max(1.0, waited), LONGEST_WAIT)
