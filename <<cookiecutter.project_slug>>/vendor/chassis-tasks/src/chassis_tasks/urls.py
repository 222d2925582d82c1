"""From the settings to a queue and a store."""

from __future__ import annotations

from importlib import import_module
from typing import Any, cast

from .queue import Queue
from .settings import MEMORY, QUEUES, STORES, TasksSettings, scheme_of
from .store import Store

SPARE = 10  # fetched ahead of those that are worked on


def is_in_memory(settings: TasksSettings) -> bool:
    """Whether tasks do not leave the process."""
    return scheme_of(settings.broker_url) == MEMORY


def store_url(settings: TasksSettings) -> str:
    """Where values are kept; "" if the broker can keep none and no store is set."""
    if settings.tasks_store_url:
        return settings.tasks_store_url
    return settings.broker_url if scheme_of(settings.broker_url) in STORES else ""


def queue_of(service: str, settings: TasksSettings) -> Queue:
    """The queue that the settings of `service` name, not yet started."""
    queue = _found(*QUEUES[scheme_of(settings.broker_url)])(
        url=settings.broker_url,
        name=settings.tasks_queue or service,
        prefetch=settings.tasks_concurrency + SPARE,
        lease_seconds=settings.tasks_lease_seconds,
    )
    return cast("Queue", queue)


def store_of(service: str, settings: TasksSettings) -> Store | None:
    """The store that the settings of `service` name; None if there is none."""
    url = store_url(settings)
    if not url:
        return None
    return cast("Store", _found(*STORES[scheme_of(url)])(url=url, name=settings.tasks_queue or service))


def _found(module: str, name: str) -> Any:
    return getattr(import_module(f"{__package__}.{module}"), name)
