"""What a part is to the service: it brings settings, resources, endpoints and commands."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import click
from fastapi import APIRouter
from prometheus_client.registry import Collector
from pydantic import BaseModel

Resource = Callable[..., AbstractAsyncContextManager[object]]
"""Opens something for as long as the service runs, given its settings: a pool, a client.

One that has a parameter `registry` is also given the CollectorRegistry for metrics of its own.
"""

Check = Callable[[Any], Awaitable[object]]
"""Returns if a backing service can be used, raises if it cannot.

Is given what `request.state` holds: the settings, and the service's resources by name.
"""


class Schema(NamedTuple):
    """Tables that somebody has, and the migrations that make them: an Alembic branch of their own."""

    name: str
    """The branch's label, which its first migration bears as `branch_labels`; "" for the team's own."""
    migrations: Path
    """The folder of its files."""
    metadata: Any
    """SQLAlchemy's, which is not installed where no database is."""


class Part:
    """A part of a service: the database, the tasks, the authentication, or an organisation's own.

    Its distribution names the class in an entry point of the group `twelvefold.parts`. A part is made once, in the
    team's package, before there are settings. What needs settings is a resource. Those that a method is given are the
    service's `chassis.Settings`, with what this part adds to them.

    :cvar settings: the settings that it adds to the service's.
    :cvar after: the names of the parts that open before it, and close after it, where they are there.
    """

    settings: ClassVar[type[BaseModel]] = BaseModel
    after: ClassVar[Sequence[str]] = ()

    def join(self, others: Mapping[str, Part]) -> None:
        """Learn which other parts the service has, by name. Called once, before all else."""

    def resources(self) -> Mapping[str, Resource]:
        """What it opens, by name: before the team's resources, and closed after them."""
        return {}

    def checks(self) -> Mapping[str, Check]:
        """What must work for the service to be ready, by name."""
        return {}

    def collectors(self) -> Iterable[Collector]:
        """What it tells Prometheus of this one process; what counts events is made with a resource's `registry`."""
        return ()

    def schema(self) -> Schema | None:
        """The tables of its own, where it has some: the part `database` makes them, and keeps them up to date.

        Asked for when the database is opened or migrated, so what that imports is not imported before.
        """
        return None

    def routers(self, settings: Any) -> Sequence[APIRouter]:
        """Its endpoints, as `settings` have them."""
        return ()

    def commands(self) -> Sequence[click.Command]:
        """Its commands; like the chassis' own they find the service by `@click.pass_obj`."""
        return ()

    def describe(self, document: dict[str, Any], settings: Any) -> None:
        """Add to the OpenAPI `document`, which is complete otherwise."""

    def at_work(self, state: Mapping[str, Any]) -> AbstractAsyncContextManager[None]:
        """Entered when all resources are open, and left before any of them is closed.

        :param state: what `request.state` holds: the settings, the background work, and the resources by name.
        """
        return contextlib.nullcontext()
