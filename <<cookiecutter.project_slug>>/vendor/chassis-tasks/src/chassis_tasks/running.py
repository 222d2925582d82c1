"""The task that is being worked on, as its own code sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

from .order import Order


class Cut(StrEnum):
    """Why a task was cancelled from outside."""

    CANCELLED = "cancelled"
    STOPPED = "stopped"


@dataclass(eq=False)
class Running:
    """A task that is being worked on: `tasks.running`."""

    id: str
    name: str
    attempt: int
    """From 1; more than that is a retry."""
    deadline: float | None
    """In seconds since the epoch."""
    _report: Callable[[str, bytes], Awaitable[None]] = field(repr=False)

    async def report(self, progress: Any) -> None:
        """Let everybody who looks the task up see `progress`, anything that JSON has a form for."""
        await self._report(self.id, msgspec.json.encode(progress))


@dataclass(eq=False)
class InHand:
    """A message in the hands of this process."""

    order: Order
    work: asyncio.Task[Any]
    cut: Cut | None = None
    since: float = field(default_factory=time.monotonic)
    renewed_at: float = field(default_factory=time.monotonic)

    @property
    def age(self) -> float:
        """For how many seconds it has been worked on."""
        return time.monotonic() - self.since

    def cut_off(self, why: Cut) -> None:
        """Cancel it, unless it has just ended by itself."""
        if not self.work.done():
            self.cut = self.cut or why
            self.work.cancel()


current: ContextVar[Running | None] = ContextVar("chassis_task", default=None)
