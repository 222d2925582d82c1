"""The plumbing of a service: settings, logging, metrics, health, life cycle.

The template owns this package and every service has the same bytes: a change made here is undone by the next
rollup. `__all__` is all that a team's code may rely on.
"""

from .checks import Check
from .client import HttpClient, http_client
from .errors import ProblemError
from .lifecycle import Background, Resource
from .openapi import problems
from .rate_limit import client_address
from .service import Service
from .settings import Settings

__all__ = [
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
