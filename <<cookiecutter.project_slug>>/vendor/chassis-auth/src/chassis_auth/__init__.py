"""The capability `auth`: who is calling. `__all__` is all that a team's code may rely on."""

from typing import TYPE_CHECKING

from .bearer import CurrentCaller, caller, caller_or_address, requires
from .caller import Caller
from .part import Auth

if TYPE_CHECKING:
    from .tokens import make_token, published_keys

__all__ = [
    "Auth",
    "Caller",
    "CurrentCaller",
    "caller",
    "caller_or_address",
    "make_token",
    "published_keys",
    "requires",
]


def __getattr__(name: str) -> object:
    if name in {"make_token", "published_keys"}:  # imports what signs, which most services do without
        from . import tokens

        return getattr(tokens, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
