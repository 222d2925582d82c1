"""The capability `auth`: who is calling. `__all__` is all that a team's code may rely on."""

from typing import TYPE_CHECKING

from .caller import Caller, CurrentCaller, caller, caller_or_address, requires
from .part import Auth

if TYPE_CHECKING:
    from .tokens import make_token

__all__ = ["Auth", "Caller", "CurrentCaller", "caller", "caller_or_address", "make_token", "requires"]


def __getattr__(name: str) -> object:
    if name == "make_token":  # imports what signs, which a service that serves does without
        from .tokens import make_token

        return make_token
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
