"""The ids of the request that is being answered: its lines in the log, its calls and its tasks bear them."""

from __future__ import annotations

import random
import re
from contextvars import ContextVar
from typing import NamedTuple

TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)")
WELL_FORMED_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)


class Ids(NamedTuple):
    """The ids of one request. `trace_id` and `span_id` are lower-case hex, as W3C Trace Context has them."""

    request_id: str
    trace_id: str
    span_id: str
    sampled: bool
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
    # Not from the system's randomness: these ids name a request and guard nothing, and that costs a system call.
    bits = random.getrandbits(192) | 1
    span_id = f"{bits & 0xFFFFFFFFFFFFFFFF:016x}"
    parent = TRACEPARENT.match(traceparent) if traceparent else None
    if parent:
        trace_id, parent_id, flags = parent.groups()
        sampled = bool(int(flags, 16) & 1)
    else:
        trace_id, parent_id, sampled = f"{bits >> 64 or 1:032x}", None, False
    if request_id is None or not WELL_FORMED_ID.fullmatch(request_id):
        request_id = trace_id
    return Ids(request_id, trace_id, span_id, sampled, parent_id)


def request_id() -> str | None:
    """The id of the request that is being answered, if one is."""
    ids = current.get()
    return ids.request_id if ids else None
