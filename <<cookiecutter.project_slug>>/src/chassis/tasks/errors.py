"""What can go wrong with tasks, in one sentence each."""

from __future__ import annotations

from ..errors import ProblemError
from ..lifecycle import StartError


class TasksUnavailableError(ProblemError):
    """The queue or the store cannot be reached: nothing was handed over. To a client it is a 503."""

    status = 503
    title = "Work cannot be taken now"


class NoStoreError(RuntimeError):
    """What was asked for needs a store, and none is set."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} needs a store, and {NAME_A_STORE}")


class InProcessError(StartError):
    """There is no queue that another process could see."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"BROKER_URL is memory://, and {what}. Set it to redis://, amqp:// or nats:// and where the server is."
        )


class StoreMissingError(StartError):
    """The process cannot do without a store, and none is set."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} needs a store, and {NAME_A_STORE}")


NAME_A_STORE = (
    "the broker of BROKER_URL keeps no values. Set APP_TASKS_STORE_URL to redis:// or nats:// and where the server is."
)
