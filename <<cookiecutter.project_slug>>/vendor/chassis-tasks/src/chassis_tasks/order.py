"""An order: one piece of work as it travels, as JSON."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec

LONGEST_WAIT = 60.0  # seconds


class UnreadableError(Exception):
    """A message is none of ours, or damaged."""


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a message asks for. Times are in seconds since the epoch."""

    id: str
    task: str
    arguments: dict[str, Any]
    sent_at: float = 0
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
        return msgspec.structs.replace(self, attempt=self.attempt + 1, due_at=time.time() + seconds)

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

    def packed(self) -> bytes:
        """The message. Raises ValueError if JSON has no form for an argument."""
        # Not msgspec's encoder: arguments may be infinite, or larger than 64 bits.
        return json.dumps(msgspec.to_builtins(self), separators=(",", ":")).encode()


def read(data: bytes) -> Order:
    """The order in a message. Raises UnreadableError."""
    try:
        return msgspec.convert(json.loads(data), Order)
    except (ValueError, RecursionError) as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from error


def patience(waited: float) -> float:
    """How long a message that nobody understands is left alone: as long as it has waited, up to a minute."""
    return min(max(1.0, waited), LONGEST_WAIT)
