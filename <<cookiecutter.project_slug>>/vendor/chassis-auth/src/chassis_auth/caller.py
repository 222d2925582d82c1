"""Whoever calls: what a token says of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever a token speaks for.

    :ivar subject: who that is, the token's `sub`: unique for one issuer.
    :ivar scopes: what the token allows.
    :ivar claims: all that the token says, for reading.
    """

    subject: str
    scopes: frozenset[str]
    claims: Mapping[str, Any] = field(repr=False)

    def may(self, *scopes: str) -> bool:
        """Whether the token has all of `scopes`."""
        return self.scopes.issuperset(scopes)
