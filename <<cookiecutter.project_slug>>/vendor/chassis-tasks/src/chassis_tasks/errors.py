"""What can go wrong with tasks, in one sentence each."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from pydantic import ValidationError

from chassis.failures import StartError
from chassis.http.errors import ProblemError

LONGEST_WORDS = 500

log = logging.getLogger(__name__)


class TasksUnavailableError(ProblemError):
    """The queue or the store cannot be reached: nothing was handed over. To a client it is a 503."""

    status = 503
    title = "Work cannot be taken now"


class TooLargeError(ConnectionError):
    """A message is larger than its server takes, now and later."""


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


def words_of(error: BaseException) -> str:
    """The type and the words of an exception, whatever it is, as one line that every server takes."""
    try:
        return in_one_line(f"{type(error).__name__}: {error}")
    except BaseException:  # its `__str__` is a team's own code
        return "an exception that cannot be shown"


def in_one_line(text: str) -> str:
    """`text` without line breaks, without what UTF-8 has no form for, and not too long."""
    encoded = str.encode(text, "utf-8", "backslashreplace")[: 10 * LONGEST_WORDS]
    return " ".join(encoded.decode("utf-8", "ignore").split())[:LONGEST_WORDS]


def faults(error: ValidationError) -> str:
    """What does not fit, in one line, without the values."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults[:5])


@contextlib.contextmanager
def cannot_raise(what: str) -> Iterator[None]:
    """Inside, an exception is logged as `what` and goes no further."""
    try:
        yield
    except Exception as error:
        with contextlib.suppress(Exception):  # it may be the log that fails
            log.error("%s: %s", what, words_of(error))
