"""The ids of the request that is being answered: its lines in the log, its calls and its tasks bear them."""

import os
import re
from collections.abc import Iterator
from contextvars import ContextVar
from typing import NamedTuple

TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)")
WELL_FORMED_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


class Ids(NamedTuple):
    """The ids of one request. `trace_id` and `span_id` are lower-case hex, as W3C Trace Context has them."""

    request_id: str
    trace_id: str
    span_id: str
    sampled: bool = False
    parent_id: str | None = None

    @property
    def traceparent(self) -> str:
        """The header that makes a call a part of this trace."""
        return f"00-{self.trace_id}-{self.span_id}-{self.sampled:02x}"


current: ContextVar[Ids | None] = ContextVar("chassis_ids", default=None)


def new(request_id: str | None, traceparent: str | None) -> Ids:
    """The ids of a request that came with these headers.

    A malformed header is one that is missing. A request without an id gets its trace's.
    """
    parent = TRACEPARENT.match(traceparent) if traceparent else None
    trace_id = parent[1] if parent else _random()
    if request_id is None or not WELL_FORMED_ID.fullmatch(request_id):
        request_id = trace_id
    if parent is None:
        return Ids(request_id, trace_id, trace_id[16:])
    return Ids(request_id, trace_id, _random()[16:], bool(int(parent[3], 16) & 1), parent[2])


def fresh() -> Ids:
    """The ids of a request that came without any."""
    trace_id = _random()
    return Ids(trace_id, trace_id, trace_id[16:])


def request_id() -> str | None:
    """The id of the request that is being answered, if one is."""
    ids = current.get()
    return ids.request_id if ids else None


def _supply() -> Iterator[str]:
    # A slice of a long random text is the cheapest id there is.
    while True:
        digits = os.urandom(8192).hex()
        if _ZEROS not in digits:  # which no id may be
            for start in range(0, len(digits), 32):
                yield digits[start : start + 32]


def _renew() -> None:
    global _random
    _random = _supply().__next__


_ZEROS = "0" * 16
_random = _supply().__next__
os.register_at_fork(after_in_child=_renew)  # or parent and child would go on with the same ids
