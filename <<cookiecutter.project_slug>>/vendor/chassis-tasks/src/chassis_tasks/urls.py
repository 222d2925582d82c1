"""From the settings to a queue and a store: each scheme has its own, imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple, cast

from .queue import Queue
from .settings import MEMORY, STORES, TasksSettings, scheme_of
from .store import Store

QUEUES = {
    "memory": ("memory_queue", "MemoryQueue"),
    "redis": ("redis_queue", "RedisQueue"),
    "rediss": ("redis_queue", "RedisQueue"),
    "amqp": ("amqp_queue", "AmqpQueue"),
    "amqps": ("amqp_queue", "AmqpQueue"),
    "nats": ("nats_queue", "NatsQueue"),
}
STORE_CLASSES = {
    "memory": ("memory_store", "MemoryStore"),
    "redis": ("redis_store", "RedisStore"),
    "rediss": ("redis_store", "RedisStore"),
    "nats": ("nats_store", "NatsStore"),
}
SPARE = 10  # fetched ahead of those that are worked on


class Named(NamedTuple):
    """The settings that a queue and a store are made of."""

    name: str
    settings: TasksSettings


def is_in_memory(settings: TasksSettings) -> bool:
    """Whether tasks do not leave the process."""
    return scheme_of(settings.broker_url) == MEMORY


def store_url(settings: TasksSettings) -> str:
    """Where values are kept; "" if the broker can keep none and no store is set."""
    if settings.tasks_store_url:
        return settings.tasks_store_url
    return settings.broker_url if scheme_of(settings.broker_url) in STORES else ""


def queue_of(named: Named) -> Queue:
    """The queue that the settings name, not yet started."""
    name, settings = named
    make = _found(*QUEUES[scheme_of(settings.broker_url)])
    queue = make(
        url=settings.broker_url,
        name=settings.tasks_queue or name,
        prefetch=settings.tasks_concurrency + SPARE,
        lease_seconds=settings.tasks_lease_seconds,
    )
    return cast("Queue", queue)


def store_of(named: Named) -> Store | None:
    """The store that the settings name, not yet started; None if there is none."""
    name, settings = named
    url = store_url(settings)
    if not url:
        return None
    make = _found(*STORE_CLASSES[scheme_of(url)])
    return cast("Store", make(url=url, name=settings.tasks_queue or name))


def _found(module: str, name: str) -> Any:
    return getattr(import_module(f"{__package__}.{module}"), name)
