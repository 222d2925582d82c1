"""Sampling: which requests are traced, as `OTEL_TRACES_SAMPLER` says."""

import contextlib
import logging
import os
from collections.abc import Mapping

from .context import Ids

log = logging.getLogger("chassis.sampling")

PARENTBASED = "parentbased_"
DEFAULT = "parentbased_always_on"
# What each traces; None: what OTEL_TRACES_SAMPLER_ARG says.
KNOWN = {"always_on": 1.0, "always_off": 0.0, "traceidratio": None}


class Sampler:
    """Decides at the edge which requests are traced.

    The SDK's own sampler would be asked after a span was prepared, which is most of a span's cost.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        name = environ.get("OTEL_TRACES_SAMPLER", "").strip().lower() or DEFAULT
        if name.removeprefix(PARENTBASED) not in KNOWN:
            log.warning("OTEL_TRACES_SAMPLER=%s is not known here; it is taken for %s", name, DEFAULT)
            name = DEFAULT
        self.follows_parent = name.startswith(PARENTBASED)
        ratio = KNOWN[name.removeprefix(PARENTBASED)]
        self.ratio = _argument(environ.get("OTEL_TRACES_SAMPLER_ARG", "")) if ratio is None else ratio
        self._bound = round(self.ratio * (1 << 64))

    def decide(self, ids: Ids) -> bool:
        """Whether the request with `ids` is traced. The same trace gets the same answer in every service."""
        if ids.parent_id and self.follows_parent:
            return ids.sampled
        return int(ids.trace_id[16:], 16) < self._bound


def _argument(argument: str) -> float:
    if not argument.strip():
        return 1.0
    with contextlib.suppress(ValueError):
        if 0 <= float(argument) <= 1:
            return float(argument)
    log.warning("OTEL_TRACES_SAMPLER_ARG=%s is no number from 0 to 1; every request is traced", argument)
    return 1.0
