"""The capability `database`: the tables and what they live in. `__all__` is all that a team's code may rely on."""

from .columns import NAMING_CONVENTION, UtcDateTime
from .errors import UnavailableError
from .part import Database
from .session import Session

__all__ = ["NAMING_CONVENTION", "Database", "Session", "UnavailableError", "UtcDateTime"]
