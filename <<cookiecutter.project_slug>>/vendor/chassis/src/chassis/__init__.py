"""The plumbing of a service: settings, logging, metrics, health, life cycle.

The template owns this package and every service has the same bytes: a change made here is undone by the next
rollup. `__all__` is all that a team's code may rely on.
"""

from . import heap  # noqa: F401 - before all that it makes cheaper
from .http.client import HttpClient, http_client
from .http.errors import ProblemError
from .http.openapi import problems
from .http.rate_limit import client_address
from .part import Check, Resource
from .process.lifecycle import Background
from .service import Service
from .settings import UNPREFIXED_VARIABLES, Settings

__all__ = [
    "UNPREFIXED_VARIABLES",
    "Background",
    "Check",
    "HttpClient",
    "ProblemError",
    "Resource",
    "Service",
    "Settings",
    "client_address",
    "http_client",
    "problems",
]
