"""What can be set of work in the background."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

MEMORY = "memory"
# Of each scheme the module and the class behind it, imported when they are used.
QUEUES = {
    MEMORY: ("memory_queue", "MemoryQueue"),
    "redis": ("redis_queue", "RedisQueue"),
    "rediss": ("redis_queue", "RedisQueue"),
    "amqp": ("amqp_queue", "AmqpQueue"),
    "amqps": ("amqp_queue", "AmqpQueue"),
    "nats": ("nats_queue", "NatsQueue"),
}
STORES = {
    MEMORY: ("memory_store", "MemoryStore"),
    "redis": ("redis_store", "RedisStore"),
    "rediss": ("redis_store", "RedisStore"),
    "nats": ("nats_store", "NatsStore"),
}


def scheme_of(url: str) -> str:
    """What stands before `://`."""
    return url.partition("://")[0].lower()


def _known_broker(url: str) -> str:
    return _known(url, QUEUES)


def _known_store(url: str) -> str:
    return _known(url, STORES) if url else url


def _known(url: str, schemes: Collection[str]) -> str:
    if "://" not in url or scheme_of(url) not in schemes:
        raise ValueError(f"write one of {', '.join(f'{name}://' for name in schemes)}, and where the server is")
    return url


class TasksSettings(BaseModel):
    """The settings that the capability `tasks` adds to a service's."""

    broker_url: Annotated[
        str,
        AfterValidator(_known_broker),
        Field(description="What carries the tasks: memory:// in this process, or redis://, amqp://, nats://."),
    ] = "memory://"
    tasks_store_url: Annotated[
        str,
        AfterValidator(_known_store),
        Field(
            description="Where results, keys and schedules are kept: redis:// or nats://; by default at the broker's, "
            "where that can.",
        ),
    ] = ""
    tasks_queue: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$", description="The queue's name; by default the service's.")
    ] = ""
    tasks_port: Annotated[
        int,
        Field(
            ge=0,
            le=65535,
            description="Where worker and scheduler answer the probes and /metrics; 0 takes a free port.",
        ),
    ] = 0
    tasks_concurrency: Annotated[int, Field(ge=1, description="How many tasks a process works on at a time.")] = 50
    tasks_retries: Annotated[
        int, Field(ge=0, description="How often a task that failed is tried again, unless it says itself.")
    ] = 3
    tasks_backoff_seconds: Annotated[
        float, Field(gt=0, description="The longest wait before the first retry; it doubles with each.")
    ] = 1
    tasks_backoff_most_seconds: Annotated[float, Field(gt=0, description="Beyond which it does not grow.")] = 300
    tasks_timeout_seconds: Annotated[
        float, Field(ge=0, description="How long an attempt may take, unless the task says itself; 0: any time.")
    ] = 300
    tasks_keep_seconds: Annotated[
        float, Field(gt=0, description="How long state and result of a task can be looked up after its end.")
    ] = 86_400
    tasks_unknown_seconds: Annotated[
        float,
        Field(ge=0, description="How long a task that no worker knows waits for one that does, before it is buried."),
    ] = 3600
    tasks_lease_seconds: Annotated[
        float, Field(ge=1, description="How long a worker may be silent before its tasks go to others.")
    ] = 30
    tasks_shutdown_seconds: Annotated[
        float, Field(ge=0, description="How long tasks may go on after SIGTERM, before they are handed back.")
    ] = 20
    tasks_send_seconds: Annotated[
        float, Field(gt=0, description="How long handing a task over may take, before the answer is 503.")
    ] = 5
